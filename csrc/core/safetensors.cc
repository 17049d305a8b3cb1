// SPDX-License-Identifier: Apache-2.0
#include "core/safetensors.h"

#include <algorithm>
#include <utility>

#include "core/json.h"
#include "core/text.h"

namespace ts {
namespace {

constexpr struct {
  const char* name;
  size_t bytes;
} kDtypes[] = {{"F32", 4}, {"U8", 1}, {"U16", 2}, {"U32", 4}, {"I32", 4}, {"F16", 2}};  // in order
constexpr int64_t kMaxElements = int64_t{1} << 48;  // far above any file, far below overflow when scaled to bytes

struct Range {
  int64_t begin, end;
  const SafetensorsTensor* tensor;
};

// Reads one file's table.
class TableReader {
 public:
  TableReader(const uint8_t* data, size_t size, const SafetensorsRules& rules)
      : data_(data), size_(size), rules_(rules) {}

  Status read(Safetensors& table) {
    if (size_ < 8) {
      return invalid("not a safetensors file: " + std::to_string(size_) + " bytes are too few for its header length");
    }
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | data_[i];
    if (header_bytes > kSafetensorsMaxHeader) {
      return invalid("not a safetensors file: its header would be " + std::to_string(header_bytes) +
                     " bytes; at most " + std::to_string(kSafetensorsMaxHeader) + " are allowed");
    }
    if (header_bytes > size_ - 8) {
      return invalid("the header is " + std::to_string(header_bytes) + " bytes, but only " + std::to_string(size_ - 8) +
                     " follow; was the file cut short?");
    }
    const std::string_view text(reinterpret_cast<const char*>(data_) + 8, static_cast<size_t>(header_bytes));
    Json header;
    std::string problem;
    if (!parse_json(text, header, problem)) return invalid("the safetensors header is not valid JSON: " + problem);
    if (!header.object())
      return invalid(std::string("the safetensors header must be an object; it is ") + header.kind_name());

    buffer_ = data_ + 8 + header_bytes;
    buffer_bytes_ = static_cast<int64_t>(size_ - 8 - static_cast<size_t>(header_bytes));
    Safetensors result;
    result.tensors.reserve(header.object()->size());  // ranges point into it
    std::vector<Range> ranges;
    for (const auto& [name, entry] : *header.object()) {
      if (name == "__metadata__") {
        TS_RETURN_IF_ERROR(read_metadata(entry, result.metadata));
        continue;
      }
      if (name.empty()) return invalid("a tensor has an empty name");
      if (!entry.object()) return invalid("tensor " + quoted(name) + " must be an object; it is " + entry.kind_name());
      SafetensorsTensor& tensor = result.tensors.emplace_back();
      tensor.name = name;
      TS_RETURN_IF_ERROR(read_dtype(entry, tensor));
      TS_RETURN_IF_ERROR(read_shape(entry, tensor));
      TS_RETURN_IF_ERROR(read_range(entry, tensor, ranges.emplace_back()));
      tensor.data = buffer_ + ranges.back().begin;
      const size_t offset = static_cast<size_t>(tensor.data - data_), align = dtype_bytes(tensor.dtype);
      if (offset % align != 0) {
        return invalid("tensor " + quoted(name) + " begins at byte " + std::to_string(offset) +
                       " of the file, which is not a multiple of " + std::to_string(align) +
                       "; pad the header with spaces to a multiple of 8 bytes and put wide types first, as the "
                       "safetensors library does");
      }
    }
    TS_RETURN_IF_ERROR(check_coverage(ranges));
    table = std::move(result);
    return Status();
  }

 private:
  Status invalid(std::string message) const { return Status(rules_.invalid, std::move(message)); }

  Status read_dtype(const Json& entry, SafetensorsTensor& tensor) const {
    const Json* dtype = entry.find("dtype");
    if (!dtype || !dtype->text()) return invalid("tensor " + quoted(tensor.name) + ": dtype must be a text");
    std::string allowed;
    for (const Dtype& candidate : rules_.dtypes) {
      if (*dtype->text() == dtype_name(candidate)) {
        tensor.dtype = candidate;
        return Status();
      }
      if (!allowed.empty()) allowed += &candidate == &rules_.dtypes.back() ? " and " : ", ";
      allowed += dtype_name(candidate);
    }
    return invalid("tensor " + quoted(tensor.name) + " has dtype " + quoted(*dtype->text()) + "; " + rules_.kind +
                   " may have " + allowed);
  }

  Status read_shape(const Json& entry, SafetensorsTensor& tensor) const {
    const Json* shape = entry.find("shape");
    if (!shape || !shape->array()) return invalid("tensor " + quoted(tensor.name) + ": shape must be a list");
    const Json::Array& sizes = *shape->array();
    if (sizes.size() > 4) {
      return invalid("tensor " + quoted(tensor.name) + " has " + std::to_string(sizes.size()) +
                     " dimensions; at most 4 are allowed");
    }
    tensor.ndim = static_cast<int>(sizes.size());
    tensor.count = 1;
    for (size_t i = 0; i < sizes.size(); ++i) {
      int64_t size = 0;
      if (!sizes[i].integer(size) || size < 0) {
        return invalid("tensor " + quoted(tensor.name) + ": shape must hold integers >= 0");
      }
      if (size > kMaxElements || (size > 0 && tensor.count > kMaxElements / size)) {
        return invalid("tensor " + quoted(tensor.name) + ": the product of its shape is too large");
      }
      tensor.shape[i] = size;
      tensor.count *= size;
    }
    return Status();
  }

  Status read_range(const Json& entry, const SafetensorsTensor& tensor, Range& range) const {
    const Json* offsets = entry.find("data_offsets");
    const Json::Array* pair = offsets ? offsets->array() : nullptr;
    range.tensor = &tensor;
    if (!pair || pair->size() != 2 || !(*pair)[0].integer(range.begin) || !(*pair)[1].integer(range.end)) {
      return invalid("tensor " + quoted(tensor.name) + ": data_offsets must be two integers");
    }
    const std::string where = "[" + std::to_string(range.begin) + "," + std::to_string(range.end) + ")";
    if (range.begin < 0 || range.begin > range.end || range.end > buffer_bytes_) {
      return invalid("tensor " + quoted(tensor.name) + ": data_offsets " + where + " are outside the file's " +
                     std::to_string(buffer_bytes_) + " bytes of data; was the file cut short?");
    }
    const int64_t bytes = tensor.count * static_cast<int64_t>(dtype_bytes(tensor.dtype));
    if (range.end - range.begin != bytes) {
      return invalid("tensor " + quoted(tensor.name) + " is " + describe(tensor) + ", which takes " +
                     std::to_string(bytes) + " bytes, but data_offsets " + where + " give it " +
                     std::to_string(range.end - range.begin));
    }
    return Status();
  }

  // The format allows neither overlap nor gap. With both excluded, a file that was cut or grew is always noticed.
  Status check_coverage(std::vector<Range>& ranges) const {
    std::sort(ranges.begin(), ranges.end(),
              [](const Range& a, const Range& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    int64_t end = 0;
    const SafetensorsTensor* previous = nullptr;
    for (const Range& range : ranges) {
      if (range.begin < end) {
        return invalid("tensors " + quoted(previous->name) + " and " + quoted(range.tensor->name) +
                       " overlap at byte " + std::to_string(range.begin) + " of the data");
      }
      if (range.begin > end) {
        return invalid("bytes [" + std::to_string(end) + "," + std::to_string(range.begin) +
                       ") of the data belong to no tensor (before " + quoted(range.tensor->name) + ")");
      }
      end = range.end;
      previous = range.tensor;
    }
    if (end != buffer_bytes_) {
      return invalid("the file has " + std::to_string(buffer_bytes_ - end) + " bytes after its last tensor");
    }
    return Status();
  }

  Status read_metadata(const Json& entry, std::vector<Safetensors::Text>& metadata) const {
    if (!entry.object())
      return invalid("__metadata__ must be an object of texts; it is " + std::string(entry.kind_name()));
    for (const Json::Member& member : *entry.object()) {
      if (!member.value.text()) {
        return invalid("__metadata__ " + quoted(member.key) + " must be a text; it is " + member.value.kind_name());
      }
      metadata.push_back({member.key, *member.value.text()});
    }
    return Status();
  }

  const uint8_t* data_;
  size_t size_;
  const SafetensorsRules& rules_;
  const uint8_t* buffer_ = nullptr;  // what follows the header
  int64_t buffer_bytes_ = 0;
};

}  // namespace

size_t dtype_bytes(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].bytes; }
const char* dtype_name(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].name; }

std::string describe(const SafetensorsTensor& tensor) {
  std::string out = "[";
  for (int i = 0; i < tensor.ndim; ++i) out += (i ? "," : "") + std::to_string(tensor.shape[i]);
  return out + "] " + dtype_name(tensor.dtype);
}

const std::string* Safetensors::find_metadata(std::string_view key) const {
  for (const Text& text : metadata) {
    if (text.key == key) return &text.value;
  }
  return nullptr;
}

const SafetensorsTensor* Safetensors::find(std::string_view name) const {
  const auto it = std::lower_bound(tensors.begin(), tensors.end(), name,
                                   [](const SafetensorsTensor& tensor, std::string_view n) { return tensor.name < n; });
  return it != tensors.end() && it->name == name ? &*it : nullptr;
}

Status read_safetensors(const uint8_t* data, size_t size, const SafetensorsRules& rules, Safetensors& table) {
  return TableReader(data, size, rules).read(table);
}

}  // namespace ts
