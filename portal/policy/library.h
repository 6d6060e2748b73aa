/* Between the two files that hold the scripts' functions. */
#pragma once
#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg library_string[], library_table[];

void library_need_table(lua_State *L, int i);  /* a table of the script's own; raises */
void library_tostring(lua_State *L, int i);    /* pushes the value as text */
void library_push_keys(lua_State *L, int i);   /* pushes the sorted keys of a table or record */
