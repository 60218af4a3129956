#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/fill.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/strided_copy.h>

APPRENTICE_UNIT(fill_reference) {
  using namespace apprentice::kernels;
  kernel_table<Fill>().add({.name = "fill_bytes_cpu_reference",
                            .family = "reference",
                            .priority = 0,
                            .refuse = nullptr,
                            .run = [](const Fill::Args& args, apprentice::Stream) {
                              with_element(args.element_bytes, [&]<class Element>() {
                                std::fill_n(static_cast<Element*>(args.y), args.count,
                                            Element(args.bits));
                              });
                            }});
}
