// refused: in two namespaces
namespace a {
struct P {
    int x;
};
}
namespace b {
struct P {
    int x[4];
};
}
extern "C" __global__ void k(int *o) {
    o[threadIdx.x] = sizeof(a::P);
}
