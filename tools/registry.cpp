#include <apprentice/tools/verb.h>

namespace apprentice::tools {

Registry<Verb>& verbs() {
  static Registry<Verb> all("verb");
  return all;
}

}  // namespace apprentice::tools
