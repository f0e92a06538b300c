# Included by CMake at the end of every `project()`. The crate llama-cpp-sys-2 builds llama.cpp's
# library for command line tools (its feature `common` cannot be switched off through llama-cpp-2),
# which takes as long as everything else and is never linked.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "no library for command line tools" FORCE)
