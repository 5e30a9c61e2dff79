# Builds the pages: copies SOURCES from FROM, and the client from CLIENT, to WORK, and runs npm there.
# The results are WORK/dist, the admin, WORK/docs-dist, the API's page, and WORK/chat, the chat page and
# the widget.
file(REMOVE_RECURSE ${WORK}/admin ${WORK}/client ${WORK}/docs ${WORK}/shared ${WORK}/widget)
file(COPY ${CLIENT}/events.ts ${CLIENT}/schema.ts DESTINATION ${WORK}/client)
foreach(file IN LISTS SOURCES)
  get_filename_component(folder ${file} DIRECTORY)
  file(COPY ${FROM}/${file} DESTINATION ${WORK}/${folder})
endforeach()
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/npm_ci.cmake)
npm_ci(${WORK} ${NPM})
execute_process(COMMAND ${NPM} run --silent build -- --logLevel warn
                WORKING_DIRECTORY ${WORK} COMMAND_ERROR_IS_FATAL ANY)
