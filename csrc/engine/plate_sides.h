// SPDX-License-Identifier: Apache-2.0
// What is beside a plate where a canvas is wider than it: the plate's last column goes on outwards, the softer the
// farther away, and its shading first goes on as it was.
//
// Maths    Beside the column e (y), d pixels away:  blur (e, d / 2) (y) + c (y) (1 - exp (-d / w)),  where blur is a box
//          twice over, and c the change from one strip of width w along the side to the next. The blur grows with the
//          distance, so that neither lines nor grain are drawn out into streaks; and a vignette does not break off
#pragma once
#include <cstdint>

namespace ts {

// picture: [height,width,3], of which the columns first .. last, both inclusive, are there; the others are filled.
// Throws std::bad_alloc.
void fill_plate_sides(uint8_t* picture, int width, int height, int first, int last);

}  // namespace ts
