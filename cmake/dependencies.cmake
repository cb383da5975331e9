# Everything here is a Debian bookworm package that script/bootstrap installs; nothing is downloaded.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(Protobuf REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET rdkafka)
pkg_check_modules(libidn REQUIRED IMPORTED_TARGET libidn)
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing)

# PostgreSQL's parser as a library. It brings no file for CMake, and is itself linked with what protobuf-c.h declares.
find_path(PG_QUERY_INCLUDE_DIR pg_query/pg_query.pb-c.h REQUIRED)
find_path(PROTOBUF_C_INCLUDE_DIR protobuf-c/protobuf-c.h REQUIRED)
find_library(PG_QUERY_LIBRARY pg_query REQUIRED)
add_library(crossfade_pg_query INTERFACE)
target_include_directories(crossfade_pg_query SYSTEM INTERFACE ${PG_QUERY_INCLUDE_DIR} ${PROTOBUF_C_INCLUDE_DIR})
target_link_libraries(crossfade_pg_query INTERFACE ${PG_QUERY_LIBRARY})
add_library(crossfade::pg_query ALIAS crossfade_pg_query)

# Asio is compiled once, here, instead of in every file that includes it.
add_library(crossfade_asio STATIC ${CMAKE_SOURCE_DIR}/cmake/asio.cpp)
target_compile_definitions(crossfade_asio PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_STD_INVOKE_RESULT)
target_link_libraries(crossfade_asio PUBLIC Boost::headers Threads::Threads)
# Asio's coroutine frames have an operator new and delete of their own; under -fsanitize g++ 12 inlines one of the two and
# takes them for mismatched (PR 109224).
target_compile_options(crossfade_asio PUBLIC $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
add_library(crossfade::asio ALIAS crossfade_asio)

# Boost.JSON likewise.
add_library(crossfade_json STATIC ${CMAKE_SOURCE_DIR}/cmake/json.cpp)
target_link_libraries(crossfade_json PUBLIC Boost::headers)
add_library(crossfade::json ALIAS crossfade_json)
