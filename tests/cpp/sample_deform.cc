// SPDX-License-Identifier: Apache-2.0
#include "sample_deform.h"

#include <utility>
#include <vector>

namespace ts_test {
namespace {

const char kManifest[] = R"({
  "format": 2, "name": "sample", "method": "talking-gaussian", "fps": 25,
  "canvas": {"width": 8, "height": 6},
  "camera": {"cam_from_world": [1,0,0,0, 0,1,0,0, 0,0,1,4, 0,0,0,1], "fx": 12, "fy": 12.5, "cx": 4, "cy": 3, "near": 0.2},
  "background": [0.25, 0.5, 1],
  "color": "rgb", "source_count": SOURCE,
  "rig": {"kind": "none", "pose_shapes": null},
  "binding": {"kind": "static"},
  "inputs": [
    {"name": "audio", "size": 24, "target": "deform", "window": {"before": 1, "after": 1, "channels": 4, "length": 2}},
    {"name": "au", "size": 3, "target": "deform", "names": ["brow", "blink", "jaw"], "default": [0.25, 0, 0]},
    {"name": "camera", "size": 12, "target": "deform", "follows": "camera"},
    {"name": "head", "size": 3, "target": "view", "pivot": [0, 0.125, 0.5]},
    {"name": "translation", "size": 3, "target": "translation"}
  ],
  "deform": {
    "condition": [
      {"kind": "input", "input": "audio", "shape": [3, 4, 2], "out": "audio"},
      {"kind": "conv", "in": "audio", "stride": 2, "padding": 1, "activation": "leaky_relu", "slope": 0.25, "out": "heard"},
      {"kind": "linear", "in": "heard", "activation": "tanh", "out": "each"},
      {"kind": "transpose", "in": "each", "out": "turned"},
      {"kind": "linear", "in": "turned", "activation": "softmax", "out": "weights"},
      {"kind": "pool", "in": "each", "weights": "weights", "out": "sound"},
      {"kind": "input", "input": "au", "shape": [1, 3, 1], "out": "au"},
      {"kind": "slice", "in": "au", "first": 1, "count": 2, "out": "lids"},
      {"kind": "waves", "in": "lids", "keep": true, "out": "waves"},
      {"kind": "input", "input": "camera", "shape": [1, 12, 1], "out": "camera"},
      {"kind": "join", "in": ["sound", "waves", "camera"], "out": "all"},
      {"kind": "linear", "in": "all", "activation": "relu", "out": "token"},
      {"kind": "constant", "out": "null"},
      {"kind": "linear", "in": "all", "activation": "none", "out": "gain"}
    ],
    "branches": [
      {"name": "face", "rows": FACE, "dilate_px": 0, "static": ["base", "grid"], "stages": [
        {"kind": "linear", "in": "grid", "gain": "gain", "frame": "token", "plus": "base", "activation": "leaky_relu",
         "slope": 0.125, "out": "h"},
        {"kind": "attention", "in": "h", "tokens": ["token", "null"], "heads": 2, "plus": "h", "out": "read"},
        {"kind": "norm", "in": "read", "epsilon": 1e-5, "activation": "tanh", "out": "normed"},
        {"kind": "linear", "in": "normed", "activation": "relu", "out": "small"},
        {"kind": "add", "in": "small", "to": "mean"},
        {"kind": "add", "in": "normed", "to": "log_scale"},
        {"kind": "add", "in": "normed", "to": "rotation"},
        {"kind": "add", "in": "h", "to": "logit"},
        {"kind": "add", "in": "h", "to": "color"}
      ]},
      {"name": "mouth", "rows": MOUTH, "dilate_px": 3, "static": ["base"], "stages": [
        {"kind": "linear", "frame": "sound", "plus": "base", "activation": "none", "out": "m"},
        {"kind": "add", "in": "m", "to": "mean"},
        {"kind": "add", "in": "m", "to": "softplus_scale"}
      ]}
    ],
    "precision": "bf16", "error": null
  },
  "encoder": "hubert", "look_ahead_ms": 80,
  "clips": [{"name": "talk", "fps": 30, "frames": 2, "inputs": ["au"]}],
  "licence": "not stated", "subject_consent": "not stated",
  "provenance": {"source_format": "sample", "files": [], "tool": "tests", "tool_version": "1", "notes": ""}
})";

}  // namespace

SampleDeform::SampleDeform(int n_face, int n_mouth) : SampleFile{"talksplat", kManifest, {}} {
  const int n = n_face + n_mouth;
  replace("SOURCE", std::to_string(n + 2));
  replace("FACE", std::to_string(n_face));
  replace("MOUTH", std::to_string(n_mouth));

  std::vector<float> quat;
  std::vector<uint32_t> source;
  for (int i = 0; i < n; ++i) {
    if (i % 2) {
      quat.insert(quat.end(), {0.6f, 0.0f, 0.8f, 0.0f});
    } else {
      quat.insert(quat.end(), {1.0f, 0.0f, 0.0f, 0.0f});
    }
    source.push_back(static_cast<uint32_t>(n + 1 - i));
  }
  random("gaussians/mean", {n, 3});
  tensors["gaussians/quat"] = tensor("F32", {n, 4}, quat);
  random("gaussians/scale", {n, 3}, 0.05f, 0.1f);
  random("gaussians/opacity", {n}, 0.25f, 0.75f);
  random("gaussians/color", {n, 3}, 0.5f, 0.5f);
  tensors["gaussians/source_index"] = tensor("U32", {n}, source);

  random("deform/condition/1/weight", {5, 4, 3});
  random("deform/condition/1/bias", {5});
  random("deform/condition/2/weight", {4, 5});
  random("deform/condition/2/bias", {4});
  random("deform/condition/4/weight", {3, 12});
  random("deform/condition/8/frequency", {2}, 0.5f, 4);
  random("deform/condition/11/weight", {8, 26});
  random("deform/condition/11/bias", {8});
  random("deform/condition/12/value", {1, 8});
  random("deform/condition/13/weight", {6, 26});

  random("deform/face/static/base", {n_face, 8});
  random("deform/face/static/grid", {n_face, 6});
  random("deform/face/0/weight", {8, 6});
  random("deform/face/0/bias", {8});
  for (const char* map : {"query", "key", "value", "out"}) {
    random(std::string("deform/face/1/") + map + "/weight", {8, 8});
    random(std::string("deform/face/1/") + map + "/bias", {8});
  }
  random("deform/face/2/gamma", {8}, 0.25f, 1);
  random("deform/face/2/beta", {8});
  random("deform/face/3/weight", {5, 8});
  random("deform/face/4/weight", {3, 5}, 0.1f);
  random("deform/face/4/bias", {3}, 0.1f);
  random("deform/face/5/weight", {3, 8}, 0.1f);
  random("deform/face/6/weight", {4, 8});
  random("deform/face/7/weight", {1, 8});
  random("deform/face/8/weight", {3, 8}, 0.1f);
  random("deform/face/canonical/log_scale", {n_face, 3}, 0.5f, -2);
  random("deform/face/canonical/rotation", {n_face, 4}, 1, 0.5f);
  random("deform/face/canonical/logit", {n_face}, 1, 1);

  random("deform/mouth/static/base", {n_mouth, 4});
  random("deform/mouth/1/weight", {3, 4}, 0.1f);
  random("deform/mouth/2/weight", {3, 4}, 0.1f);
  random("deform/mouth/2/bias", {3}, 0.1f);
  random("deform/mouth/canonical/softplus_scale", {n_mouth, 3}, 0.5f, -2);

  random("clip/talk/au", {2, 3});
}

void SampleDeform::add_to_sh() {
  const int64_t n = tensors.at("gaussians/mean").shape[0];
  replace("\"rgb\"", "\"sh1\"");
  replace("{\"kind\": \"add\", \"in\": \"h\", \"to\": \"color\"}",
          "{\"kind\": \"add\", \"in\": \"h\", \"to\": \"sh\"}");
  replace("\"to\": \"softplus_scale\"}",
          "\"to\": \"softplus_scale\"}, {\"kind\": \"add\", \"in\": \"m\", \"to\": \"sh\"}");
  drop("gaussians/color");
  random("gaussians/sh", {n, 4, 3});
  random("deform/face/8/weight", {12, 8}, 0.1f);
  random("deform/mouth/3/weight", {12, 4}, 0.1f);
}

// Numbers of middle - size to middle + size.
void SampleDeform::random(const std::string& name, std::vector<int64_t> shape, float size, float middle) {
  size_t n = 1;
  for (const int64_t axis : shape) n *= static_cast<size_t>(axis);
  std::vector<float> values(n);
  for (float& x : values) {
    state_ = state_ * 1664525 + 1013904223;  // Numerical Recipes' generator
    x = middle + size * (static_cast<float>(state_ >> 8) / (1 << 23) - 1);
  }
  tensors[name] = tensor("F32", std::move(shape), values);
}

void lengthen_mouth(SampleDeform& s, int n) {
  std::string stages;
  for (int i = 0; i < n; ++i) {
    stages += "{\"kind\": \"linear\", \"plus\": \"base\", \"activation\": \"none\", \"out\": \"more" +
              std::to_string(i) + "\"}, ";
  }
  s.replace("{\"kind\": \"linear\", \"frame\": \"sound\"", stages + "{\"kind\": \"linear\", \"frame\": \"sound\"");
  for (const char* name : {"1/weight", "2/weight", "2/bias"}) {
    auto tensor = s.tensors.extract(std::string("deform/mouth/") + name);
    tensor.key() = "deform/mouth/" + std::to_string(tensor.key()[13] - '0' + n) + tensor.key().substr(14);
    s.tensors.insert(std::move(tensor));
  }
}

void replace_condition(SampleDeform& s, const std::string& condition) {
  const size_t begin = s.manifest.find("\"condition\": ["), end = s.manifest.find("\"precision\"");
  s.manifest.replace(begin, end - begin,
                     "\"condition\": [" + condition +
                         "], \"branches\": [{\"name\": \"all\", \"rows\": 10, \"static\": [], \"stages\": []}], ");
  for (auto it = s.tensors.begin(); it != s.tensors.end();)
    it = it->first.rfind("deform/", 0) == 0 ? s.tensors.erase(it) : std::next(it);
}

void replace_branches(SampleDeform& s, const std::string& static_names, const std::string& stages) {
  replace_condition(s, "");
  s.replace("\"static\": [], \"stages\": []", "\"static\": [" + static_names + "], \"stages\": [" + stages + "]");
}

void add_maps(SampleDeform& s) {
  for (const char* map : {"query", "key", "value", "out"}) {
    s.add(std::string("deform/all/0/") + map + "/weight", "F32", {64, 64});
    s.add(std::string("deform/all/0/") + map + "/bias", "F32", {64});
  }
}

}  // namespace ts_test
