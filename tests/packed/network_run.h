#pragma once

#include <map>
#include <string>
#include <vector>

#include <apprentice/packed/packed_network.h>

namespace apprentice::test {

/// Logits and all traces, images joined: by layer, "acc", "negative", "sums", "codes", "values".
struct Run {
  std::vector<float> logits;
  std::map<std::string, std::map<std::string, std::vector<double>>> trace;
  friend bool operator==(const Run&, const Run&) = default;
};

template <class V>
void append(std::vector<double>& to, const V& view) {
  if (view) to.insert(to.end(), view.data, view.data + view.numel());
}

inline Run run(packed::PackedNetwork& network, const std::vector<float>& x, bool traced) {
  const int64_t n = int64_t(x.size()) / (9 * 8 * 3);
  Run result;
  result.logits.assign(size_t(n * 4), -1.0f);
  packed::Trace trace;
  if (traced) {
    trace = [&](const packed::LayerTrace& t) {
      auto& layer = result.trace[t.layer->name];
      append(layer["acc"], t.acc);
      append(layer["negative"], t.acc_negative);
      append(layer["sums"], t.sums);
      append(layer["codes"], t.codes);
      append(layer["values"], t.values);
    };
  }
  network.forward({x.data(), {n, 9, 8, 3}}, {result.logits.data(), {n, 4}}, trace);
  return result;
}

}  // namespace apprentice::test
