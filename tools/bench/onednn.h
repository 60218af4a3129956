#pragma once

#include <dnnl.hpp>
#include <unordered_map>

namespace apprentice::tools::onednn {

using Type = dnnl::memory::data_type;
using Tag = dnnl::memory::format_tag;

/// A primitive of oneDNN with memory of its own in the layouts that it asked for, so that a run is
/// nothing but the primitive.
struct Prepared {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> args;

  void run() {
    primitive.execute(stream, args);
    stream.wait();
  }
  /// Fills the memory `argument` from data in another layout.
  void write(int argument, const dnnl::memory::desc& layout, const void* data) {
    dnnl::memory from(layout, engine, const_cast<void*>(data));
    dnnl::reorder(from, args.at(argument)).execute(stream, from, args.at(argument));
    stream.wait();
  }
  void read(int argument, const dnnl::memory::desc& layout, void* data) {
    dnnl::memory to(layout, engine, data);
    dnnl::reorder(args.at(argument), to).execute(stream, args.at(argument), to);
    stream.wait();
  }
};

}  // namespace apprentice::tools::onednn
