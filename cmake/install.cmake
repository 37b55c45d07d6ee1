# What `make install` needs besides the targets: parquedb.pc, and yyjson where the system has none.
# A yyjson out of PQ_DEPS_DIR is installed beside the library, so that nothing points back here.
cmake_path(IS_PREFIX PQ_DEPS_DIR ${YYJSON_LIBRARY} NORMALIZE yyjson_is_ours)
if(yyjson_is_ours)
    file(REAL_PATH ${YYJSON_LIBRARY} yyjson_file)
    install(FILES ${yyjson_file} DESTINATION ${CMAKE_INSTALL_LIBDIR}/parquedb
            RENAME libyyjson.so.0)
    set(PQ_LIBRARY_RPATH "$ORIGIN/parquedb")
    set(PQ_COMMAND_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/parquedb")
endif()

configure_file(${PROJECT_SOURCE_DIR}/cmake/parquedb.pc.in ${PROJECT_BINARY_DIR}/parquedb.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/parquedb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
