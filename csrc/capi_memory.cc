// SPDX-License-Identifier: Apache-2.0
// The C ABI of a GPU's memory.
#include "capi_handles.h"
#include "capi_support.h"

namespace {

using ts::error;
using ts::Status;
using ts::StatusCode;
using ts::capi::guarded;
using ts::capi::made_here;
using ts::capi::null_argument;
using ts::capi::write_struct;

}  // namespace

extern "C" {

ts_status ts_memory_create(ts_engine* engine, uint64_t bytes, ts_memory** memory) {
  return guarded([&]() -> Status {
    if (!engine) return null_argument("ts_memory_create", "engine");
    if (!memory) return null_argument("ts_memory_create", "memory");
    *memory = nullptr;
    if (bytes == 0 || bytes > uint64_t{ts::kMaxCount})
      return error(StatusCode::kInvalidArgument, "ts_memory_create: bytes must be from 1 to 2^40; got %llu.",
                   static_cast<unsigned long long>(bytes));
    TS_RETURN_IF_ERROR(made_here("ts_memory_create", *engine->backend));
    std::unique_ptr<ts_memory> made(new ts_memory{engine->backend, nullptr, bytes});
    TS_RETURN_IF_ERROR(engine->backend->make_memory(bytes, made->memory));
    *memory = made.release();
    return {};
  });
}

void ts_memory_destroy(ts_memory* memory) { delete memory; }

ts_status ts_memory_get_info(const ts_memory* memory, ts_memory_info* info) {
  return guarded([&]() -> Status {
    if (!memory) return null_argument("ts_memory_get_info", "memory");
    ts_memory_info value{};
    value.ordinal = static_cast<uint32_t>(memory->memory->ordinal());
    value.address = memory->memory->address();
    value.bytes = memory->bytes;
    value.event = memory->memory->event();
    return write_struct("ts_memory_get_info", info, value);
  });
}

ts_status ts_memory_hold_back(const ts_memory* memory, void* stream) {
  return guarded([&]() -> Status {
    if (!memory) return null_argument("ts_memory_hold_back", "memory");
    TS_RETURN_IF_ERROR(made_here("ts_memory_hold_back", *memory->backend));
    return memory->memory->hold_back(stream);
  });
}

ts_status ts_memory_read(const ts_memory* memory, uint64_t offset, void* to, uint64_t bytes) {
  return guarded([&]() -> Status {
    if (!memory) return null_argument("ts_memory_read", "memory");
    if (!to && bytes > 0) return null_argument("ts_memory_read", "to");
    if (offset > memory->bytes || bytes > memory->bytes - offset)
      return error(StatusCode::kInvalidArgument,
                   "ts_memory_read: offset and bytes must stay within the memory's %llu bytes; got %llu from %llu on.",
                   static_cast<unsigned long long>(memory->bytes), static_cast<unsigned long long>(bytes),
                   static_cast<unsigned long long>(offset));
    TS_RETURN_IF_ERROR(made_here("ts_memory_read", *memory->backend));
    return memory->memory->read(offset, to, bytes);
  });
}

}  // extern "C"
