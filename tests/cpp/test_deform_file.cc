// SPDX-License-Identifier: Apache-2.0
// The reader of deform programs: a good one arrives whole, and whatever is wrong with a bad one is named.
// `test_deform_file --write FILE` writes the sample instead, for other tests.
#include <cmath>
#include <cstdio>

#include "check.h"
#include "engine/avatar_file.h"
#include "reader_test.h"
#include "sample_deform.h"

using ts::AvatarFile;
using ts::Status;
using ts::StatusCode;
using ts_test::Bytes;
using ts_test::kInf;
using ts_test::kNan;
using ts_test::SampleDeform;

namespace {

using Break = ts_test::Break<SampleDeform>;

Status parse(const Bytes& file) {
  AvatarFile avatar;
  return ts::parse_avatar_file(file.data(), file.size(), avatar);
}

void expect_invalid(const Bytes& file, const std::string& part) {
  ts_test::expect(parse(file), StatusCode::kAvatarInvalid, part);
}

// ---- files that must load ----

void loads_everything() {
  const SampleDeform sample;
  const Bytes file = sample.file();
  AvatarFile a;
  const Status status = ts::parse_avatar_file(file.data(), file.size(), a);
  if (!CHECK_MESSAGE(status.ok(), status.message())) return;
  CHECK(a.encoder == "hubert" && a.inputs.size() == 5);
  const ts::AvatarInput &audio = a.inputs[0], &au = a.inputs[1], &camera = a.inputs[2], &head = a.inputs[3];
  CHECK(audio.target == ts::InputTarget::kDeform && audio.window.before == 1 && audio.window.after == 1 &&
        audio.window.channels == 4 && audio.window.length == 2 && !audio.follows_camera);
  CHECK(au.names == std::vector<std::string>({"brow", "blink", "jaw"}) && au.default_value[0] == 0.25f &&
        au.window.channels == 0 && au.index.empty());
  CHECK(camera.follows_camera && head.target == ts::InputTarget::kView && head.pivot_w[2] == 0.5f);

  const ts::ConditionProgram& condition = a.program.condition;
  CHECK(condition.stages.size() == 14 && condition.values.size() == 14);
  const struct {
    const char* name;
    int64_t rows, channels, length;
  } values[] = {{"audio", 3, 4, 2}, {"heard", 3, 5, 1}, {"each", 3, 4, 1}, {"turned", 1, 4, 3}, {"weights", 1, 3, 1},
                {"sound", 1, 4, 1}, {"au", 1, 3, 1},    {"lids", 1, 2, 1}, {"waves", 1, 10, 1}, {"camera", 1, 12, 1},
                {"all", 1, 26, 1},  {"token", 1, 8, 1}, {"null", 1, 8, 1}, {"gain", 1, 6, 1}};
  int64_t at = 0;
  for (size_t i = 0; i < condition.values.size(); ++i) {
    const ts::ConditionValue& value = condition.values[i];
    CHECK_MESSAGE(value.name == values[i].name && value.rows == values[i].rows &&
                      value.channels == values[i].channels && value.length == values[i].length && value.at == at,
                  values[i].name);
    at += value.size();
  }
  CHECK(condition.n_floats == at && condition.n_scratch == 4 * 3);
  CHECK(condition.stages[0].control == 0 && condition.stages[6].control == 24 && condition.stages[9].control == 27);
  CHECK(condition.stages[1].stride == 2 && condition.stages[1].padding == 1 && condition.stages[1].taps == 3);
  CHECK(condition.stages[1].slope == 0.25f && condition.stages[4].bias == nullptr);

  if (!CHECK(a.program.branches.size() == 2)) return;
  CHECK(a.program.precision == ts::DeformPrecision::kBf16);
  const ts::DeformBranch &face = a.program.branches[0], &mouth = a.program.branches[1];
  CHECK(face.name == "face" && face.n == 7 && face.n_static == 2 && face.stages.size() == 9);
  CHECK(face.values[0].width == 8 && face.values[1].width == 6 && face.values[2].width == 8);
  CHECK(face.stages[1].heads == 2 && face.stages[1].tokens == std::vector<int>({11, 12}));
  CHECK(face.log_scale && face.rotation && face.logit && !face.softplus_scale && face.stages[3].map.bias == nullptr);
  CHECK(mouth.n == 3 && mouth.dilate_px == 3 && mouth.softplus_scale && !mouth.logit);
  CHECK(a.tensors.size() == sample.tensors.size());
}

constexpr const char* kFace = "\"rows\": 7, ";

void loads_variants() {
  const std::pair<const char*, Break> variants[] = {
      {"spherical harmonics", [](SampleDeform& s) { s.add_to_sh(); }},
      {"no Gaussians", [](SampleDeform& s) { s = SampleDeform(0, 0); }},
      {"a branch of no rows", [](SampleDeform& s) { s = SampleDeform(0, 5); }},
      {"another branch of no rows", [](SampleDeform& s) { s = SampleDeform(5, 0); }},
      {"no bias", [](SampleDeform& s) { s.drop("deform/face/0/bias"); }},
      {"keys that nobody reads", [](SampleDeform& s) { s.replace("\"precision\"", "\"later\": 1, \"precision\""); }},
      {"a branch that is not dilated, without saying so", [](SampleDeform& s) { s.replace("\"dilate_px\": 0, ", ""); }},
      {"names with odd letters",
       [](SampleDeform& s) {
         s.replace("\"name\": \"mouth\"", "\"name\": \"0\"");
         for (const char* name : {"static/base", "1/weight", "2/weight", "2/bias", "canonical/softplus_scale"}) {
           auto tensor = s.tensors.extract(std::string("deform/mouth/") + name);
           tensor.key() = std::string("deform/0/") + name;
           s.tensors.insert(std::move(tensor));
         }
       }},
      {"one value in two roles",
       [](SampleDeform& s) {
         s.replace("\"in\": \"normed\", \"activation\"", "\"in\": \"normed\", \"plus\": \"normed\", \"activation\"");
         s.add("deform/face/3/weight", "F32", {8, 8});
         s.add("deform/face/4/weight", "F32", {3, 8});
       }},
  };
  for (const auto& [what, change] : variants) {
    SampleDeform sample;
    change(sample);
    const Status status = parse(sample.file());
    CHECK_MESSAGE(status.ok(), std::string(what) + ": " + status.message());
  }
}

// ---- one thing wrong ----

void manifests() {
  const ts_test::Edit cases[] = {
      // What a program may be.
      {"\"format\": 2", "\"format\": 1", "deform.branches must be absent in format 1"},
      {"\"condition\": [", "\"conditions\": [", "deform.condition is missing"},
      {"\"condition\": [", "\"condition\": {}, \"x\": [", "deform.condition must be a list; got an object"},
      {"\"branches\": [", "\"branch\": [", "deform.stages is missing"},
      {"\"branches\": [", "\"branches\": 7, \"x\": [", "deform.branches must be a list; got 7"},
      {"\"branches\": [", "\"branches\": [], \"x\": [", "deform.branches must have at least one entry"},
      {"\"branches\": [", "\"branches\": [5, ", "deform.branches[0] must be an object; got 5"},
      {"\"branches\": [", "\"stages\": [1], \"branches\": [", "deform.stages must have 0 entries"},
      {"\"precision\": \"bf16\"", "\"precision\": \"fp16\"", "deform.precision must be one of \"fp32\", \"bf16\""},
      {"\"precision\": \"bf16\"", "\"precision\": null", "deform.precision must be one of"},
      {"\"precision\": \"bf16\", ", "", "deform.precision is missing"},

      // Inputs.
      {"\"target\": \"view\"", "\"target\": \"look\"", "inputs[3].target must be one of"},
      {"\"size\": 3, \"target\": \"view\"", "\"size\": 4, \"target\": \"view\"",
       "inputs[3].size must be 3 for the target \"view\"; got 4"},
      {", \"pivot\": [0, 0.125, 0.5]", "", "inputs[3].pivot is missing"},
      {"[0, 0.125, 0.5]", "[0, 0.125]", "inputs[3].pivot must have 3 entries"},
      {"[0, 0.125, 0.5]", "[0, 0.125, 1e39]", "inputs[3].pivot[2] must be a number that"},
      {"\"target\": \"translation\"", "\"target\": \"translation\", \"pivot\": [0, 0, 0]",
       "inputs[4].pivot must be absent for this target"},
      {"\"target\": \"translation\"", "\"target\": \"translation\", \"window\": 1",
       "inputs[4].window must be absent for this target"},
      {"\"target\": \"translation\"", "\"target\": \"translation\", \"follows\": \"camera\"",
       "inputs[4].follows must be absent for this target"},
      {"\"follows\": \"camera\"", "\"follows\": \"eyes\"", "inputs[2].follows must be one of \"camera\""},
      {"\"follows\": \"camera\"", "\"follows\": null", "inputs[2].follows must be one of \"camera\"; got null"},
      {"\"size\": 12", "\"size\": 13", "inputs[2].size must be 12 where the input follows the camera"},
      {"\"before\": 1", "\"before\": 2", "inputs[0].window must have (before + 1 + after) channels length = size, 24"},
      {"\"before\": 1", "\"before\": -1", "inputs[0].window.before must be an integer from 0 to 65536"},
      {"\"before\": 1, ", "", "inputs[0].window.before is missing"},
      {"\"after\": 1", "\"after\": 65537", "inputs[0].window.after must be an integer from 0"},
      {"\"channels\": 4, \"length\": 2", "\"channels\": 65536, \"length\": 65536", "inputs[0].window must have"},
      {"\"channels\": 4", "\"channels\": 0", "inputs[0].window.channels must be an integer from 1"},
      {"\"length\": 2}", "\"length\": 0.5}", "inputs[0].window.length must be an integer from 1"},
      {"\"jaw\"]", "\"brow\"]", "inputs[1].names[2] must be unique among the names"},
      {"\"jaw\"]", "\"\"]", "inputs[1].names[2] must not be empty"},
      {"\"encoder\": \"hubert\"", "\"encoder\": null", "look_ahead_ms must be 0 where encoder is null"},
      {"\"look_ahead_ms\": 80", "\"look_ahead_ms\": -80", "look_ahead_ms must be 0 or more; got -80"},

      // Stages of the condition.
      {"{\"kind\": \"constant\"", "{\"kind\": \"const\"",
       "deform.condition[12].kind must be one of \"input\", \"constant\""},
      {"{\"kind\": \"constant\"", "{\"kinds\": \"constant\"", "deform.condition[12].kind is missing"},
      {"{\"kind\": \"constant\", \"out\": \"null\"}", "\"null\"",
       "deform.condition[12] must be an object; got \"null\""},
      {"\"out\": \"null\"", "\"out\": \"gain\"", "deform.condition[13].out must be a new name; got \"gain\""},
      {"\"out\": \"null\"", "\"out\": \"\"", "deform.condition[12].out must not be empty"},
      {"\"out\": \"null\"", "\"out\": 0", "deform.condition[12].out must be a text; got 0"},
      {"{\"kind\": \"constant\", \"out\": \"null\"}", "{\"kind\": \"constant\"}",
       "deform.condition[12].out is missing"},
      {"\"input\": \"audio\"", "\"input\": \"video\"",
       "deform.condition[0].input must be the name of an input whose target"},
      {"\"input\": \"audio\"", "\"input\": \"translation\"",
       "deform.condition[0].input must be the name of an input whose target is \"deform\"; got \"translation\""},
      {"\"input\": \"audio\"", "\"input\": \"head\"", "deform.condition[0].input must be the name of an input whose"},
      {"\"input\": \"audio\", ", "", "deform.condition[0].input is missing"},
      {"[3, 4, 2]", "[3, 4]", "deform.condition[0].shape must have 3 entries"},
      {"[3, 4, 2]", "[3, 4, 3]", "deform.condition[0].shape must have the 24 numbers of its input"},
      {"[3, 4, 2]", "[3, 0, 2]", "deform.condition[0].shape[1] must be an integer from 1 to 1048576; got 0"},
      {"[3, 4, 2]", "[1048576, 1048576, 1048576]", "deform.condition[0].shape must have the 24 numbers"},
      {"[3, 4, 2]", "[1048577, 1, 1]", "deform.condition[0].shape[0] must be an integer from 1 to 1048576"},
      {"[3, 4, 2]", "{\"a\": 1}", "deform.condition[0].shape must be a list"},
      {", \"shape\": [3, 4, 2]", "", "deform.condition[0].shape is missing"},
      {"\"in\": \"audio\", \"stride\"", "\"stride\"", "deform.condition[1].in is missing"},
      {"\"in\": \"audio\", \"stride\"", "\"in\": \"heard\", \"stride\"",
       "deform.condition[1].in must be the name of a value that an earlier stage wrote, or that is static; got "
       "\"heard\""},
      {"\"in\": \"audio\", \"stride\"", "\"in\": \"gain\", \"stride\"",
       "deform.condition[1].in must be the name of a value"},
      {"\"in\": \"audio\", \"stride\"", "\"in\": [\"audio\"], \"stride\"", "deform.condition[1].in must be a text"},
      {"\"stride\": 2, ", "", "deform.condition[1].stride is missing"},
      {"\"stride\": 2", "\"stride\": 0", "deform.condition[1].stride must be an integer from 1 to 1048576; got 0"},
      {"\"stride\": 2", "\"stride\": 9223372036854775808", "deform.condition[1].stride must be an integer from 1"},
      {"\"stride\": 2", "\"stride\": 1048577", "deform.condition[1].stride must be an integer from 1"},
      {"\"padding\": 1, ", "", "deform.condition[1].padding is missing"},
      {"\"padding\": 1", "\"padding\": -1", "deform.condition[1].padding must be an integer from 0"},
      {"\"padding\": 1", "\"padding\": 0", "deform.condition[1] has more taps, 3, than its input with padding"},
      {"\"padding\": 1", "\"padding\": 1048576", "deform.condition[1] makes the condition larger than 1048576 numbers"},
      {"\"padding\": 1", "\"padding\": 3",
       "\"deform/condition/2/weight\" must be [o,15] F32; got [4,5] F32"},  // what follows of the length
      {"\"leaky_relu\", \"slope\": 0.25", "\"elu\", \"slope\": 0.25", "deform.condition[1].activation must be one of"},
      {"\"slope\": 0.25, ", "", "deform.condition[1].slope is missing"},
      {"\"slope\": 0.25", "\"slope\": 1e39", "deform.condition[1].slope must be a number that a 32-bit float can hold"},
      {"\"slope\": 0.25", "\"slope\": \"0.25\"", "deform.condition[1].slope must be a number"},
      {"\"in\": \"heard\", \"activation\": \"tanh\"", "\"in\": \"heard\"", "deform.condition[2].activation is missing"},
      {"\"in\": \"each\", \"out\": \"turned\"", "\"in\": \"audio\", \"out\": \"turned\"",
       "deform.condition[3].in must have the length 1; got 2"},
      {", \"weights\": \"weights\"", "", "deform.condition[5].weights is missing"},
      {"\"weights\": \"weights\"", "\"weights\": \"weight\"",
       "deform.condition[5].weights must be the name of a value"},
      {"\"weights\": \"weights\"", "\"weights\": \"turned\"",
       "deform.condition[5].weights must be a value of one row of 3 numbers; got 1 of 12"},
      {"\"in\": \"each\", \"weights\": \"weights\"", "\"in\": \"weights\", \"weights\": \"each\"",
       "deform.condition[5].weights must be a value of one row of 1 numbers; got 3 of 4"},
      {"\"in\": \"au\", \"first\"", "\"in\": \"each\", \"first\"",
       "deform.condition[7] must end inside its input of one row; that has 3 rows of 4"},
      {"\"first\": 1", "\"first\": 2",
       "deform.condition[7] must end inside its input of one row; that has 1 rows of 3"},
      {"\"first\": 1", "\"first\": -1", "deform.condition[7].first must be an integer from 0"},
      {"\"count\": 2", "\"count\": 0", "deform.condition[7].count must be an integer from 1"},
      {"\"first\": 1, \"count\": 2", "\"first\": 1048576, \"count\": 1048576", "deform.condition[7] must end inside"},
      {"\"first\": 1, ", "", "deform.condition[7].first is missing"},
      {"\"keep\": true", "\"keep\": 1", "deform.condition[8].keep must be true or false; got 1"},
      {"\"keep\": true, ", "", "deform.condition[8].keep is missing"},
      {"[\"sound\", \"waves\", \"camera\"]", "\"sound\"", "deform.condition[10].in must be a list; got \"sound\""},
      {"[\"sound\", \"waves\", \"camera\"]", "[]", "deform.condition[10].in must have 1 to 64 entries"},
      {"[\"sound\", \"waves\", \"camera\"]", "[\"sound\", \"all\"]", "deform.condition[10].in[1] must be the name of"},
      {"[\"sound\", \"waves\", \"camera\"]", "[\"sound\", \"each\"]",
       "deform.condition[10].in must have values of one row"},
      {"[\"sound\", \"waves\", \"camera\"]", "[\"sound\", \"waves\"]",
       "\"deform/condition/11/weight\" must be [o,14] F32; got [8,26] F32"},

      // Branches.
      {"\"name\": \"mouth\", ", "", "deform.branches[1].name is missing"},
      {"\"name\": \"mouth\"", "\"name\": \"\"", "deform.branches[1].name must not be empty"},
      {"\"name\": \"mouth\"", "\"name\": \"face\"", "deform.branches[1].name must be a new name without '/'"},
      {"\"name\": \"mouth\"", "\"name\": \"a/b\"", "deform.branches[1].name must be a new name without '/'"},
      {"\"name\": \"mouth\"", "\"name\": \"condition\"",
       "deform.branches[1].name must be a new name without '/', and not"},
      {"\"name\": \"mouth\"", "\"name\": \"lips\"", "tensor \"deform/lips/static/base\" is missing"},
      {kFace, "", "deform.branches[0].rows is missing"},
      {kFace, "\"rows\": -7, ", "deform.branches[0].rows must be an integer from 0 to 16777215; got -7"},
      {kFace, "\"rows\": 16777216, ", "deform.branches[0].rows must be an integer from 0"},
      {kFace, "\"rows\": 6, ", "\"deform/face/static/base\" must be [6,w] F32; got [7,8] F32"},
      {"\"dilate_px\": 3", "\"dilate_px\": 2", "deform.branches[1].dilate_px must be 0 or odd; got 2"},
      {"\"dilate_px\": 3", "\"dilate_px\": 257", "deform.branches[1].dilate_px must be an integer from 0 to 255"},
      {"\"dilate_px\": 3", "\"dilate_px\": null", "deform.branches[1].dilate_px must be an integer from 0"},
      {"\"dilate_px\": 0", "\"dilate_px\": 3", "deform.branches[0] must have dilate_px 0: nothing is before it"},
      {"\"static\": [\"base\", \"grid\"]", "\"static\": \"base\"", "deform.branches[0].static must be a list"},
      {"\"static\": [\"base\", \"grid\"], ", "", "deform.branches[0].static is missing"},
      {"\"static\": [\"base\", \"grid\"]", "\"static\": [\"base\", \"base\"]",
       "deform.branches[0].static[1] must be a new name"},
      {"\"static\": [\"base\", \"grid\"]", "\"static\": [\"base\", \"a/b\"]",
       "deform.branches[0].static[1] must not contain '/'"},
      {"\"static\": [\"base\", \"grid\"]", "\"static\": [\"base\", 1]", "deform.branches[0].static[1] must be a text"},
      {"\"grid\"], \"stages\": [", "\"grid\"], \"stages\": {}, \"x\": [", "deform.branches[0].stages must be a list"},
      {"\"grid\"], \"stages\": [", "\"grid\"], \"x\": [", "deform.branches[0].stages is missing"},

      // Their stages.
      {"{\"kind\": \"norm\"", "{\"kind\": \"input\"",
       "deform.branches[0].stages[2].kind must be one of \"linear\", \"attention\", \"norm\", \"add\"; got \"input\""},
      {"\"in\": \"grid\", \"gain\"", "\"in\": \"grit\", \"gain\"",
       "deform.branches[0].stages[0].in must be the name of a value"},
      {"\"in\": \"grid\", \"gain\"", "\"in\": \"h\", \"gain\"",
       "deform.branches[0].stages[0].in must be the name of a value"},
      {"\"in\": \"grid\", \"gain\"", "\"in\": \"sound\", \"gain\"",
       "deform.branches[0].stages[0].in must be the name of a value"},
      {"\"in\": \"grid\", \"gain\"", "\"in\": null, \"gain\"",
       "deform.branches[0].stages[0].in must be a text; got null"},
      {"\"in\": \"grid\", \"gain\"", "\"gain\"",
       "deform.branches[0].stages[0].gain must be absent where there is no in"},
      {"\"gain\": \"gain\"", "\"gain\": \"h\"", "deform.branches[0].stages[0].gain must be the name of a value"},
      {"\"gain\": \"gain\"", "\"gain\": \"token\"",
       "deform.branches[0].stages[0].gain must be a value of one row of 6 numbers; got 1 of 8"},
      {"\"frame\": \"token\"", "\"frame\": \"base\"", "deform.branches[0].stages[0].frame must be the name of a value"},
      {"\"frame\": \"token\"", "\"frame\": \"gain\"",
       "deform.branches[0].stages[0].frame must be a value of one row of 8 numbers; got 1 of 6"},
      {"\"frame\": \"sound\"", "\"frame\": \"each\"",
       "deform.branches[1].stages[0].frame must be a value of one row of 4 numbers; got 3 of 4"},
      {"\"plus\": \"base\", \"activation\": \"leaky_relu\"", "\"plus\": \"grid\", \"activation\": \"leaky_relu\"",
       "deform.branches[0].stages[0].plus must have the width of the output, 8; got 6"},
      {"\"plus\": \"base\", \"activation\": \"leaky_relu\"", "\"plus\": \"token\", \"activation\": \"leaky_relu\"",
       "deform.branches[0].stages[0].plus must be the name of a value"},
      {"\"plus\": \"base\", \"activation\": \"none\"", "\"activation\": \"none\"",
       "deform.branches[1].stages[0] must have in or plus"},
      {"\"slope\": 0.125, ", "", "deform.branches[0].stages[0].slope is missing"},
      {"\"in\": \"normed\", \"activation\": \"relu\"", "\"in\": \"normed\", \"activation\": \"softmax\"",
       "deform.branches[0].stages[3].activation must be another one here; got \"softmax\""},
      {"\"in\": \"normed\", \"activation\": \"relu\"", "\"in\": \"normed\"",
       "deform.branches[0].stages[3].activation is missing"},
      {"\"out\": \"h\"", "\"out\": \"grid\"", "deform.branches[0].stages[0].out must be a new name; got \"grid\""},
      {"\"out\": \"small\"", "\"out\": \"h\"", "deform.branches[0].stages[3].out must be a new name; got \"h\""},
      {", \"out\": \"small\"", "", "deform.branches[0].stages[3].out is missing"},
      {"[\"token\", \"null\"]", "[]", "deform.branches[0].stages[1].tokens must have 1 to 64 entries"},
      {"[\"token\", \"null\"]", "[\"token\", \"h\"]",
       "deform.branches[0].stages[1].tokens[1] must be the name of a value"},
      {"[\"token\", \"null\"]", "[\"token\", \"gain\"]",
       "deform.branches[0].stages[1].tokens must be a value of one row of 8 numbers; got 1 of 6"},
      {"\"heads\": 2", "\"heads\": 0", "deform.branches[0].stages[1].heads must be an integer from 1 to 64; got 0"},
      {"\"heads\": 2", "\"heads\": 65", "deform.branches[0].stages[1].heads must be an integer from 1 to 64"},
      {"\"heads\": 2", "\"heads\": 3", "deform.branches[0].stages[1].heads must divide the width 8"},
      {"\"heads\": 2, ", "", "deform.branches[0].stages[1].heads is missing"},
      {"\"epsilon\": 1e-5", "\"epsilon\": 0", "deform.branches[0].stages[2].epsilon must be above 0; got 0"},
      {"\"epsilon\": 1e-5", "\"epsilon\": 1e-60", "deform.branches[0].stages[2].epsilon must be above 0"},
      {"\"epsilon\": 1e-5, ", "", "deform.branches[0].stages[2].epsilon is missing"},
      {"\"to\": \"rotation\"", "\"to\": \"spin\"",
       "deform.branches[0].stages[6].to must be one of \"mean\", \"log_scale\""},
      {"\"to\": \"rotation\"", "\"to\": \"logit\"",
       "deform.branches[0].stages[7].to must be added to once; got \"logit\""},
      {"\"to\": \"rotation\"", "\"to\": \"softplus_scale\"",
       "deform.branches[0].stages[6].to must be added to once; got \"softplus_scale\""},
      {"\"in\": \"normed\", \"to\": \"rotation\"", "\"to\": \"rotation\"",
       "deform.branches[0].stages[6].in is missing"},
      {"\"to\": \"color\"", "\"to\": \"sh\"",
       "deform.branches[0].stages[8].to must fit the manifest's color, which is \"rgb\""},
      {"{\"kind\": \"add\", \"in\": \"h\", \"to\": \"logit\"},", "",
       "tensor \"deform/face/7/weight\" must be [3,8] F32; got [1,8] F32"},
  };
  ts_test::expect_each<SampleDeform>(cases, expect_invalid);
}

std::string repeated(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += (i ? ", " : "") + text;
  return out;
}

const char kConv[] = R"({"kind": "constant", "out": "x"},
  {"kind": "conv", "in": "x", "stride": STRIDE, "padding": PADDING, "activation": "none", "out": "y"})";
void only_conv(SampleDeform& s, const char* stride, const char* padding, int64_t channels, int64_t outputs,
               int64_t taps) {
  replace_condition(s, kConv);
  s.replace("STRIDE", stride);
  s.replace("PADDING", padding);
  s.add("deform/condition/0/value", "F32", {1, channels});
  s.add("deform/condition/1/weight", "F32", {outputs, channels, taps});
  s.add("deform/condition/1/bias", "F32", {outputs});
}

void tensors() {
  const std::pair<const char*, Break> cases[] = {
      {"manifest: rig.kind must be \"none\" where there is a deform program",
       [](auto& s) {
         s.replace("\"kind\": \"none\"", "\"kind\": \"mesh\"");
         s.replace("\"kind\": \"static\"", "\"kind\": \"vertex\", \"rotate\": true");
       }},
      {"deform.branches must have N = 11 rows in all (from gaussians/mean); got 10",
       [](auto& s) {
         s.add("gaussians/mean", "F32", {11, 3});
         s.add("gaussians/scale", "F32", {11, 3});
         s.add("gaussians/opacity", "F32", {11});
         s.add("gaussians/color", "F32", {11, 3});
         for (auto [name, size] : {std::pair("gaussians/quat", 16), std::pair("gaussians/source_index", 4)}) {
           ts_test::SampleTensor& tensor = s.tensors.at(name);
           const std::vector<uint8_t> first(tensor.bytes.begin(), tensor.bytes.begin() + size);
           ++tensor.shape[0];
           tensor.bytes.insert(tensor.bytes.end(), first.begin(), first.end());
         }
         s.template set<uint32_t>("gaussians/source_index", 10, 0);
       }},
      {"deform.branches must all add to \"sh\", or none; mouth does not",
       [](auto& s) {
         s.add_to_sh();
         s.replace(", {\"kind\": \"add\", \"in\": \"m\", \"to\": \"sh\"}", "");
         s.drop("deform/mouth/3/weight");
       }},
      {"stages[8].to must fit the manifest's color, which is spherical harmonics",
       [](auto& s) {
         s.add_to_sh();
         s.replace("\"in\": \"h\", \"to\": \"sh\"", "\"in\": \"h\", \"to\": \"color\"");
       }},
      {"tensor \"deform/face/8/weight\" must be [12,8] F32; got [48,8] F32",
       [](auto& s) {
         s.add_to_sh();
         s.add("deform/face/8/weight", "F32", {48, 8});
       }},

      // The condition's.
      {"tensor \"deform/condition/1/weight\" is missing", [](auto& s) { s.drop("deform/condition/1/weight"); }},
      {"\"deform/condition/1/weight\" must be [o,4,k] F32; got [5,3,4] F32",
       [](auto& s) { s.add("deform/condition/1/weight", "F32", {5, 3, 4}); }},
      {"\"deform/condition/1/weight\" is [0,4,3] F32, but o must be from 1",
       [](auto& s) { s.add("deform/condition/1/weight", "F32", {0, 4, 3}); }},
      {"\"deform/condition/1/weight\" is [5,4,0] F32, but k must be from 1",
       [](auto& s) { s.add("deform/condition/1/weight", "F32", {5, 4, 0}); }},
      {"\"deform/condition/1/weight\" must be [o,4,k] F32; got [5,4,3] U32",
       [](auto& s) { s.add("deform/condition/1/weight", "U32", {5, 4, 3}); }},
      {"\"deform/condition/1/weight\" row 4 has nan", [](auto& s) { s.set("deform/condition/1/weight", 59, kNan); }},
      {"tensor \"deform/condition/1/bias\" is missing", [](auto& s) { s.drop("deform/condition/1/bias"); }},
      {"\"deform/condition/1/bias\" must be [5] F32; got [6] F32",
       [](auto& s) { s.add("deform/condition/1/bias", "F32", {6}); }},
      {"\"deform/condition/1/bias\" row 1 has inf", [](auto& s) { s.set("deform/condition/1/bias", 1, kInf); }},
      {"deform.condition[1] has more taps, 5, than its input with padding",
       [](auto& s) { s.add("deform/condition/1/weight", "F32", {5, 4, 5}); }},
      {"tensor \"deform/condition/2/weight\" is missing", [](auto& s) { s.drop("deform/condition/2/weight"); }},
      {"\"deform/condition/2/weight\" must be [o,5] F32; got [4,6] F32",
       [](auto& s) { s.add("deform/condition/2/weight", "F32", {4, 6}); }},
      {"\"deform/condition/2/weight\" must be [o,5] F32; got [5] F32",
       [](auto& s) { s.add("deform/condition/2/weight", "F32", {5}); }},
      {"\"deform/condition/2/bias\" must be [4] F32; got [5] F32",
       [](auto& s) { s.add("deform/condition/2/bias", "F32", {5}); }},
      {"\"deform/condition/2/bias\" row 3 has nan", [](auto& s) { s.set("deform/condition/2/bias", 3, kNan); }},
      {"tensor \"deform/condition/8/frequency\" is missing", [](auto& s) { s.drop("deform/condition/8/frequency"); }},
      {"\"deform/condition/8/frequency\" row 1 has -inf", [](auto& s) { s.set("deform/condition/8/frequency", 1, -kInf); }},
      {"\"deform/condition/8/frequency\" is [0] F32, but f must be from 1",
       [](auto& s) { s.add("deform/condition/8/frequency", "F32", {0}); }},
      {"tensor \"deform/condition/12/value\" is missing", [](auto& s) { s.drop("deform/condition/12/value"); }},
      {"\"deform/condition/12/value\" must be [r,c] F32; got [8] F32",
       [](auto& s) { s.add("deform/condition/12/value", "F32", {8}); }},
      {"\"deform/condition/12/value\" row 0 has nan", [](auto& s) { s.set("deform/condition/12/value", 7, kNan); }},
      {"stages[1].tokens must be a value of one row of 8 numbers; got 2 of 8",
       [](auto& s) { s.add("deform/condition/12/value", "F32", {2, 8}); }},
      {"tensor \"deform/condition/0/weight\" is none of this avatar's",
       [](auto& s) { s.add("deform/condition/0/weight", "F32", {1}); }},
      {"tensor \"deform/condition/14/weight\" is none of this avatar's",
       [](auto& s) { s.add("deform/condition/14/weight", "F32", {1}); }},

      // A branch's.
      {"tensor \"deform/face/static/grid\" is missing", [](auto& s) { s.drop("deform/face/static/grid"); }},
      {"\"deform/face/static/grid\" must be [7,w] F32; got [6,6] F32",
       [](auto& s) { s.add("deform/face/static/grid", "F32", {6, 6}); }},
      {"\"deform/face/static/grid\" is [7,0] F32, but w must be from 1 to 1024",
       [](auto& s) { s.add("deform/face/static/grid", "F32", {7, 0}); }},
      {"\"deform/face/static/grid\" is [7,1025] F32, but w must be from 1 to 1024",
       [](auto& s) { s.add("deform/face/static/grid", "F32", {7, 1025}); }},
      {"\"deform/face/static/grid\" row 6 has nan", [](auto& s) { s.set("deform/face/static/grid", 41, kNan); }},
      {"tensor \"deform/face/0/weight\" is missing", [](auto& s) { s.drop("deform/face/0/weight"); }},
      {"\"deform/face/0/weight\" must be [o,6] F32; got [8,7] F32",
       [](auto& s) { s.add("deform/face/0/weight", "F32", {8, 7}); }},
      {"deform.branches[0].stages[0] has 1025 outputs; at most 1024",
       [](auto& s) { s.add("deform/face/0/weight", "F32", {1025, 6}); }},
      {"\"deform/face/0/weight\" row 7 has inf", [](auto& s) { s.set("deform/face/0/weight", 47, kInf); }},
      {"\"deform/face/0/bias\" must be [8] F32; got [7] F32", [](auto& s) { s.add("deform/face/0/bias", "F32", {7}); }},
      {"tensor \"deform/face/1/key/weight\" is missing", [](auto& s) { s.drop("deform/face/1/key/weight"); }},
      {"tensor \"deform/face/1/out/bias\" is missing", [](auto& s) { s.drop("deform/face/1/out/bias"); }},
      {"\"deform/face/1/value/weight\" must be [8,8] F32; got [8,4] F32",
       [](auto& s) { s.add("deform/face/1/value/weight", "F32", {8, 4}); }},
      {"\"deform/face/1/query/bias\" row 7 has nan", [](auto& s) { s.set("deform/face/1/query/bias", 7, kNan); }},
      {"tensor \"deform/face/2/gamma\" is missing", [](auto& s) { s.drop("deform/face/2/gamma"); }},
      {"\"deform/face/2/beta\" must be [8] F32; got [1] F32", [](auto& s) { s.add("deform/face/2/beta", "F32", {1}); }},
      {"\"deform/face/2/gamma\" row 0 has nan", [](auto& s) { s.set("deform/face/2/gamma", 0, kNan); }},
      {"\"deform/face/4/weight\" must be [3,5] F32; got [4,5] F32",
       [](auto& s) { s.add("deform/face/4/weight", "F32", {4, 5}); }},
      {"\"deform/face/4/bias\" must be [3] F32; got [4] F32", [](auto& s) { s.add("deform/face/4/bias", "F32", {4}); }},
      {"\"deform/face/6/weight\" must be [4,8] F32; got [3,8] F32",
       [](auto& s) { s.add("deform/face/6/weight", "F32", {3, 8}); }},
      {"tensor \"deform/mouth/0/weight\" is none of this avatar's",
       [](auto& s) { s.add("deform/mouth/0/weight", "F32", {4, 4}); }},
      {"tensor \"deform/mouth/static/grid\" is none of this avatar's",
       [](auto& s) { s.add("deform/mouth/static/grid", "F32", {3, 4}); }},
      {"tensor \"deform/nose/static/base\" is none of this avatar's",
       [](auto& s) { s.add("deform/nose/static/base", "F32", {3, 4}); }},
      {"tensor \"deform/face/canonical/log_scale\" is missing", [](auto& s) { s.drop("deform/face/canonical/log_scale"); }},
      {"tensor \"deform/mouth/canonical/softplus_scale\" is missing",
       [](auto& s) { s.drop("deform/mouth/canonical/softplus_scale"); }},
      {"\"deform/face/canonical/logit\" must be [7] F32; got [7,1] F32",
       [](auto& s) { s.add("deform/face/canonical/logit", "F32", {7, 1}); }},
      {"\"deform/face/canonical/rotation\" must be [7,4] F32; got [7,3] F32",
       [](auto& s) { s.add("deform/face/canonical/rotation", "F32", {7, 3}); }},
      {"\"deform/face/canonical/rotation\" row 6 has nan", [](auto& s) { s.set("deform/face/canonical/rotation", 27, kNan); }},
      {"tensor \"deform/mouth/canonical/logit\" is none of this avatar's",
       [](auto& s) { s.add("deform/mouth/canonical/logit", "F32", {3}); }},
      {"tensor \"deform/face/canonical/mean\" is none of this avatar's",
       [](auto& s) { s.add("deform/face/canonical/mean", "F32", {7, 3}); }},
      {"tensor \"deform/face/canonical/softplus_scale\" is none of this avatar's",
       [](auto& s) { s.add("deform/face/canonical/softplus_scale", "F32", {7, 3}); }},
      {"tensor \"deform/condition/1/bias\" is none of this avatar's",
       [](auto& s) {  // the identity has no tensors
         const size_t begin = s.manifest.find("\"condition\": ["), end = s.manifest.find("  },\n  \"encoder\"");
         s.manifest.replace(begin, end - begin, "\"stages\": []");
       }},

      // Limits.
      {"deform.condition must have at most 64 entries",
       [](auto& s) { s.replace("\"condition\": [", "\"condition\": [" + repeated("0", 51) + ", "); }},
      {"deform.branches must have at most 8 entries",
       [](auto& s) { s.replace("\"branches\": [", "\"branches\": [" + repeated("0", 7) + ", "); }},
      {"deform.branches[1].stages must have at most 64 entries", [](auto& s) { lengthen_mouth(s, 62); }},
      {"deform.branches[0].static must have at most 64 entries",
       [](auto& s) { s.replace("\"static\": [\"base\", \"grid\"]", "\"static\": [" + repeated("\"a\"", 65) + "]"); }},
      {"deform.condition[10].in must have 1 to 64 entries",
       [](auto& s) { s.replace("[\"sound\", \"waves\", \"camera\"]", "[" + repeated("\"sound\"", 65) + "]"); }},
      {"deform.branches[0].stages[1].tokens must have 1 to 64 entries",
       [](auto& s) { s.replace("[\"token\", \"null\"]", "[" + repeated("\"null\"", 65) + "]"); }},
      {"deform.branches[0] must have values of at most 4096 numbers a Gaussian in all; got 4097",
       [](auto& s) {
         replace_branches(s, R"("a", "b", "c", "d", "e")", "");
         for (const char* name : {"a", "b", "c", "d", "e"})
           s.add(std::string("deform/all/static/") + name, "F32", {10, name[0] == 'e' ? 1 : 1024});
       }},
      {"deform.branches[0] must have values of at most 4096 numbers a Gaussian in all; got 4097",
       [](auto& s) {
         replace_branches(s, "\"a\"", R"({"kind": "linear", "in": "a", "activation": "none", "out": "b"},
             {"kind": "linear", "plus": "b", "activation": "none", "out": "c"},
             {"kind": "linear", "plus": "c", "activation": "none", "out": "d"},
             {"kind": "linear", "plus": "d", "activation": "none", "out": "e"})");
         s.add("deform/all/static/a", "F32", {10, 1});
         s.add("deform/all/0/weight", "F32", {1024, 1});
       }},
      {"deform.branches[0] must have values of at most 4096 numbers a Gaussian in all; got 4224",  // 1024 are scores
       [](auto& s) {
         replace_branches(s, R"("a", "b", "c", "d")", R"({"kind": "attention", "in": "d", "tokens": [)" +
                                                          repeated("\"t\"", 16) + R"(], "heads": 64, "out": "e"})");
         s.replace("\"condition\": []", R"("condition": [{"kind": "constant", "out": "t"}])");
         s.add("deform/condition/0/value", "F32", {1, 64});
         for (const char* name : {"a", "b", "c", "d"})
           s.add(std::string("deform/all/static/") + name, "F32", {10, name[0] == 'd' ? 64 : 1024});
         add_maps(s);
       }},
      {"heads must divide the width 64, and times the tokens be at most 1024; got 64",
       [](auto& s) {
         replace_branches(s, "\"a\"", R"({"kind": "attention", "in": "a", "tokens": [)" + repeated("\"t\"", 17) +
                                          R"(], "heads": 64, "out": "b"})");
         s.replace("\"condition\": []", R"("condition": [{"kind": "constant", "out": "t"}])");
         s.add("deform/condition/0/value", "F32", {1, 64});
         s.add("deform/all/static/a", "F32", {10, 64});
       }},
      {"deform.condition[1] makes the condition larger than 1048576 numbers",  // waves of waves
       [](auto& s) {
         replace_condition(s, R"({"kind": "constant", "out": "x"}, {"kind": "waves", "in": "x", "keep": true, "out": "y"})");
         s.add("deform/condition/0/value", "F32", {1024, 1024});
         s.add("deform/condition/1/frequency", "F32", {4});
       }},
      {"deform.condition[1] makes the condition larger than 1048576 numbers",  // 1024 more than fit beside the constant
       [](auto& s) {
         replace_condition(s, R"({"kind": "constant", "out": "x"}, {"kind": "slice", "in": "x", "first": 0, "count": 1024,
             "out": "y"})");
         s.add("deform/condition/0/value", "F32", {1, (1 << 20) - 1023});
       }},
      {"deform.condition[0] makes the condition larger than 1048576 numbers",
       [](auto& s) {
         replace_condition(s, R"({"kind": "constant", "out": "x"})");
         s.add("deform/condition/0/value", "F32", {1025, 1024});
       }},
      {"deform.condition[1] makes the condition longer than 268435456 products",
       [](auto& s) { only_conv(s, "1", "65536", 64, 1, 64); }},
      {"deform.condition[1] makes the condition larger than 1048576 numbers",
       [](auto& s) { only_conv(s, "1", "1048576", 1, 1, 1); }},
      {"deform.condition[1] makes the condition larger than 1048576 numbers",
       [](auto& s) { only_conv(s, "2", "1048576", 1, 1, 1); }},
  };
  ts_test::expect_each<SampleDeform>(cases, expect_invalid);
}

// At a limit, not beyond it.
void loads_at_the_limits() {
  const std::pair<const char*, Break> variants[] = {
      {"64 stages in a branch", [](SampleDeform& s) { lengthen_mouth(s, 61); }},
      {"4096 numbers a Gaussian and an add",
       [](SampleDeform& s) {
         replace_branches(s, R"("a", "b", "c", "d")", R"({"kind": "add", "in": "a", "to": "mean"})");
         for (const char* name : {"a", "b", "c", "d"})
           s.add(std::string("deform/all/static/") + name, "F32", {10, 1024});
         s.add("deform/all/0/weight", "F32", {3, 1024});
       }},
      {"2^20 numbers in the condition",
       [](SampleDeform& s) {
         replace_condition(
             s, R"({"kind": "constant", "out": "x"}, {"kind": "slice", "in": "x", "first": 1048574, "count": 1,
             "out": "y"})");
         s.add("deform/condition/0/value", "F32", {1, (1 << 20) - 1});
       }},
      {"a stride and a padding at their limits", [](SampleDeform& s) { only_conv(s, "1048576", "1048576", 1, 1, 1); }},
      {"taps that reach from end to end", [](SampleDeform& s) { only_conv(s, "1048576", "1000", 1, 1, 2001); }},
      {"64 heads",
       [](SampleDeform& s) {
         replace_branches(s, "\"a\"",
                          R"({"kind": "attention", "in": "a", "tokens": [)" + repeated("\"t\"", 16) +
                              R"(], "heads": 64, "out": "b"})");
         s.replace("\"condition\": []", R"("condition": [{"kind": "constant", "out": "t"}])");
         s.add("deform/condition/0/value", "F32", {1, 64});
         s.add("deform/all/static/a", "F32", {10, 64});
         add_maps(s);
       }},
  };
  for (const auto& [what, change] : variants) {
    SampleDeform sample;
    change(sample);
    const Status status = parse(sample.file());
    CHECK_MESSAGE(status.ok(), std::string(what) + ": " + status.message());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (const int status = ts_test::write_if_asked<SampleDeform>(argc, argv); status >= 0) return status;
  loads_everything();
  loads_variants();
  loads_at_the_limits();
  manifests();
  tensors();
  return ts_test::report("test_deform_file");
}
