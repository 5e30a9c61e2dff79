# Link privately: warnings are for us, never for a consumer.
add_library(twinchat_warnings INTERFACE)
target_compile_options(twinchat_warnings INTERFACE -Wall -Wextra -Wconversion
                       $<$<BOOL:${TWINCHAT_WERROR}>:-Werror>)
