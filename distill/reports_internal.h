#pragma once

#include <string>
#include <utility>
#include <vector>

#include <apprentice/base/device.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/data/dataset.h>
#include <apprentice/distill/event.h>
#include <apprentice/distill/recipe.h>
#include <apprentice/distill/training_state_internal.h>
#include <apprentice/nn/module.h>

namespace apprentice::distill {

/// What a run tells of something: kinds of events, each with its fields.
using Fields = std::vector<std::pair<std::string, Event::Value>>;
using Report = std::vector<std::pair<std::string, Fields>>;

/// Which weights move at another learning rate than the recipe's.
Report learning_rate_report(nn::Module& student);
/// What a user may have expected to be otherwise on this device; `not_recorded` says why its steps
/// are not recorded, or nothing.
Report device_report(const Recipe& recipe, Device device, const std::string& not_recorded);
Report bad_sample_report(const data::ImageSet& set);
/// What the codes of each layer are like, and a warning where training by low bits goes wrong.
Report health_report(nn::Module& student);
/// Where the memory of a device goes, in bytes, as far as the trained networks, the data set and
/// the recorded step have it; "other" is the rest of what this process has taken.
Report memory_report(const TrainingState& networks, const GraphMemory& graph, Device device);

}  // namespace apprentice::distill
