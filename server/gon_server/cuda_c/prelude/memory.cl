// Copies, printf, and what is only said to the compiler.

//@ memcpy cpp
GON_FN void *gon_memcpy(void *to, const void *from, size_t size) {
    for (size_t i = 0; i < size; i++) ((uchar *)to)[i] = ((const uchar *)from)[i];
    return to;
}

//@ memset cpp
GON_FN void *gon_memset(void *to, int value, size_t size) {
    for (size_t i = 0; i < size; i++) ((uchar *)to)[i] = (uchar)value;
    return to;
}

//@ printf
//@+ cpp
// By its own name C++ would look for a mangled one when the kernel is linked.
#define gon_printf __builtin_printf
//@+ c12
#define gon_printf printf

//@ __builtin_expect
#define gon___builtin_expect(value, expected) __builtin_expect(value, expected)

//@ __builtin_assume
#define gon___builtin_assume(...) ((void)0)

//@ __builtin_assume_aligned
#define gon___builtin_assume_aligned(p, ...) (p)

//@ __builtin_unreachable
#define gon___builtin_unreachable() __builtin_unreachable()
