# cmake -D FOLDER=<folder> -D NPM=<npm> -P npm_install.cmake
include(${CMAKE_CURRENT_LIST_DIR}/npm_ci.cmake)
npm_ci(${FOLDER} "${NPM}")
