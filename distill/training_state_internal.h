#pragma once

#include <memory>
#include <string>
#include <vector>

#include <apprentice/distill/method.h>
#include <apprentice/nn/optimizer.h>
#include <apprentice/quant/pack.h>

namespace apprentice::distill {

/// The trained networks of a run with their optimizers: what a checkpoint's tensors are.
class TrainingState {
 public:
  /// `infos` are the metadata of the networks' files, in the order of `trained`.
  TrainingState(std::vector<Trained> trained, std::vector<quant::ModelInfo> infos,
                const Recipe::Train& options);

  /// Hands the learning rate of the coming update to the networks' device.
  void prepare_step(float lr);
  /// One update of every network from the gradients at hand, which are then forgotten.
  void apply_step();
  /// Counts what is not finite in the gradients at hand; does not wait for their device. Where
  /// something was counted, steps of that network leave its weights as they are.
  void note_gradients();
  /// CheckFailed naming the first parameter of which note_gradients() has counted something;
  /// `where` opens the message. Waits for the device.
  void check_gradients(const std::string& where) const;
  /// Puts all networks into training mode.
  void train();

  /// What the networks' device keeps of them from step to step, in bytes of its blocks. Gradients,
  /// as large as the parameters, are of the steps.
  struct Memory {
    size_t parameters = 0, buffers = 0, optimizer = 0;
  };
  Memory memory() const;

  /// Writes the files of a checkpoint but its manifest, and returns their names.
  std::vector<std::string> write(const std::string& folder) const;
  /// Reads them back in. DamagedFile or Error naming the file and tensor.
  void read(const std::string& folder);

 private:
  void make_optimizers();

  std::vector<Trained> trained_;
  std::vector<quant::ModelInfo> infos_;
  Recipe::Train options_;
  std::vector<std::unique_ptr<nn::Sgd>> optimizers_;
  /// Of a network: a count for each parameter, and the sum of them.
  struct NotFinite {
    Tensor counts, total;
  };
  std::vector<NotFinite> not_finite_;
};

}  // namespace apprentice::distill
