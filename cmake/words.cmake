# cmake -DIN=<file> -DOUT=<file> -P words.cmake: little-endian words of 32 bits as an initialiser in C.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1,\n" words "${bytes}")
file(WRITE ${OUT} "{${words}}\n")
