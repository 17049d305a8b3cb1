// SPDX-License-Identifier: Apache-2.0
#include "bind.h"

namespace ts::bind {

namespace {

std::string shape_text(const py::ssize_t* shape, size_t ndim) {
  std::string text = "[";
  for (size_t i = 0; i < ndim; ++i) {
    if (i) text += ',';
    text += shape[i] < 0 ? "any" : std::to_string(shape[i]);
  }
  return text + "]";
}

void require_shape(const py::array& array, const char* name, std::initializer_list<py::ssize_t> shape) {
  bool same = array.ndim() == static_cast<py::ssize_t>(shape.size());
  for (size_t i = 0; same && i < shape.size(); ++i) {
    const py::ssize_t want = shape.begin()[i];
    same = want < 0 || array.shape(static_cast<py::ssize_t>(i)) == want;
  }
  if (same) return;
  throw py::value_error(std::string(name) + " must be " + shape_text(shape.begin(), shape.size()) + "; got " +
                        shape_text(array.shape(), static_cast<size_t>(array.ndim())) + ".");
}

void require_writable(const py::array& array, const char* name) {
  if (!array.writeable())
    throw py::value_error(std::string(name) + " is read-only. Pass an array that can be written.");
}

}  // namespace

const float* read_floats(const FloatArray& array, const char* name, std::initializer_list<py::ssize_t> shape) {
  require_shape(array, name, shape);
  return array.data();
}

float* write_floats(FloatArray& array, const char* name, std::initializer_list<py::ssize_t> shape) {
  require_shape(array, name, shape);
  require_writable(array, name);
  return array.mutable_data();
}

float* write_floats(OptionalFloats& array, const char* name, std::initializer_list<py::ssize_t> shape) {
  return array ? write_floats(*array, name, shape) : nullptr;
}

ts_image image_over(py::array& pixels, ts_format format, uint32_t width, uint32_t height, OptionalFloats& alpha,
                    OptionalFloats& depth) {
  const py::ssize_t w = width, h = height;
  const bool floats = format == TS_FORMAT_RGB_F32;
  if (floats ? !py::isinstance<py::array_t<float>>(pixels) : !py::isinstance<py::array_t<uint8_t>>(pixels)) {
    throw py::value_error(floats ? "image must be float32." : "image must be uint8.");
  }
  py::ssize_t row_bytes = w * pixels.itemsize();
  if (format == TS_FORMAT_NV12) {
    if (height % 2 || width % 2) throw py::value_error("image: NV12 needs an even width and height.");
    require_shape(pixels, "image", {h + h / 2, w});
  } else {
    const py::ssize_t channels = format == TS_FORMAT_RGBA8 ? 4 : 3;
    require_shape(pixels, "image", {h, w, channels});
    if (pixels.strides(2) != pixels.itemsize())
      throw py::value_error("image: the channels of a pixel must be adjacent.");
    row_bytes *= channels;
  }
  if (floats && !(pixels.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_))
    throw py::value_error("image must be aligned to its float32 numbers. See numpy.require.");
  const py::ssize_t pixel_bytes = w ? row_bytes / w : 0;
  if ((w > 1 && pixels.strides(1) != pixel_bytes) || (h > 1 && pixels.strides(0) < row_bytes)) {
    throw py::value_error("image: the pixels of a row must be adjacent and rows ascending. Pass a C-contiguous array.");
  }
  require_writable(pixels, "image");
  ts_image image{};
  image.struct_size = sizeof(image);
  image.format = format;
  image.width = width;
  image.height = height;
  image.stride_bytes = h > 1 ? pixels.strides(0) : row_bytes;
  image.data = pixels.mutable_data();
  image.alpha = write_floats(alpha, "alpha", {h, w});
  image.depth = write_floats(depth, "depth", {h, w});
  return image;
}

ts_background background_over(const OptionalFloats& background, uint32_t width, uint32_t height) {
  ts_background result{};
  if (!background) return result;
  if (background->ndim() == 1) {
    result.color = read_floats(*background, "background", {3});
  } else {
    result.image_f32 = read_floats(*background, "background", {height, width, 3});
  }
  return result;
}

Sound read_sound(const py::array& samples, uint32_t channels) {
  const bool s16 = py::isinstance<py::array_t<int16_t>>(samples);
  if (!s16 && !py::isinstance<py::array_t<float>>(samples))
    throw py::value_error("samples must be float32 or int16; got " + py::cast<std::string>(py::str(samples.dtype())) +
                          ".");
  const py::ssize_t columns = samples.ndim() == 1 ? 1 : samples.ndim() == 2 ? samples.shape(1) : -1;
  if (channels == 0 ? columns < 1 || columns > TS_MAX_CHANNELS : columns != static_cast<py::ssize_t>(channels)) {
    const std::string shape = py::cast<std::string>(py::str(py::tuple(samples.attr("shape"))));
    const std::string width = channels ? std::to_string(channels) : "1.." + std::to_string(TS_MAX_CHANNELS);
    throw py::value_error("samples must be [n," + width + "]" + (channels <= 1 ? " or [n]" : "") + "; got " + shape +
                          ".");
  }
  constexpr int kPlain = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((samples.flags() & kPlain) != kPlain)
    throw py::value_error("samples must be C-contiguous and aligned. See numpy.require.");
  return {s16 ? TS_SAMPLE_S16 : TS_SAMPLE_F32, static_cast<uint32_t>(columns), samples.data(), samples.shape(0)};
}

}  // namespace ts::bind
