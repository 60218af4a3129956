#include <apprentice/distill/health.h>

#include <apprentice/base/error.h>

namespace apprentice::distill {

std::vector<std::string> health_problems(const quant::LayerHealth& layer) {
  std::vector<std::string> problems;
  if (layer.zeros == 0) problems.push_back("no weight code is 0");
  if (layer.zeros >= 0.99)
    problems.push_back(fmt::format("{:.1f} % of the weight codes are 0", 100 * layer.zeros));
  if (layer.zeros >= 0 && !(layer.scale > 0))
    problems.push_back(fmt::format("the weight scale is {}, expected above 0", layer.scale));
  if (layer.scale_negative && !(*layer.scale_negative > 0))
    problems.push_back(fmt::format("the scale of negative weights is {}, expected above 0",
                                   *layer.scale_negative));
  if (layer.saturated > 0.5)
    problems.push_back(
        fmt::format("{:.1f} % of the activations lie on the highest code", 100 * layer.saturated));
  return problems;
}

}  // namespace apprentice::distill
