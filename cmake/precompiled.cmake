# Headers that nearly every source includes are parsed once: libstdc++'s, googletest's, and Asio's where sessions are
# served.
#
#   crossfade_precompiled(target kind)      # library, program, test; session, session_test: with Asio
#
# A source still includes what it needs: script/test --lint, preset debug and clang read each of them without.
option(CROSSFADE_PRECOMPILED "Parse common headers once (g++ alone)" ON)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CROSSFADE_PRECOMPILED OFF)
endif()

set(crossfade_common_headers
  <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstddef> <cstdint> <cstring> <deque> <functional> <map>
  <memory> <mutex> <optional> <set> <span> <stdexcept> <stop_token> <string> <string_view> <system_error> <thread>
  <unordered_map> <utility> <variant> <vector>)
set(crossfade_session_headers
  <boost/asio/awaitable.hpp> <boost/asio/generic/stream_protocol.hpp> <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp>
  <boost/asio/post.hpp> <boost/asio/steady_timer.hpp> <boost/asio/use_awaitable.hpp> <boost/system/result.hpp>
  <prometheus/registry.h>)
set(crossfade_test_headers <gmock/gmock.h> <gtest/gtest.h> <filesystem> <fstream> <random>)

# g++ takes a precompiled header only for code of the same kind: position independent as a library's or as a program's,
# with the same optimisation.
function(crossfade_add_precompiled kind flags)
  cmake_parse_arguments(arg "" "" "HEADERS;DEPS" ${ARGN})
  set(target crossfade_precompiled_${kind})
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/precompiled.cpp)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE ${flags})
  target_link_libraries(${target} PRIVATE ${arg_DEPS} crossfade_warnings)
  target_precompile_headers(${target} PRIVATE ${crossfade_common_headers} ${arg_HEADERS})
endfunction()

function(crossfade_precompiled target kind)
  if(CROSSFADE_PRECOMPILED)
    # By this ccache sees what is in the header.
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_precompile_headers(${target} REUSE_FROM crossfade_precompiled_${kind})
  endif()
endfunction()

if(CROSSFADE_PRECOMPILED)
  crossfade_add_precompiled(library "-fPIC;-fpch-preprocess")
  crossfade_add_precompiled(program "-fPIE;-fpch-preprocess")
  crossfade_add_precompiled(session "-fPIC;-fpch-preprocess" HEADERS ${crossfade_session_headers}
    DEPS crossfade::asio prometheus-cpp::core)
endif()
