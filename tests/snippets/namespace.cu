// gives: 9
// refused in C: namespaces
namespace geo {
struct P {
    int x;
};
__device__ int f(P p) {
    return p.x;
}
namespace in {
__device__ int g() {
    return 2;
}
} // namespace in
} // namespace geo
using namespace geo;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    P p = {3};
    geo::P q = {4};
    o[t] = geo::f(p) + f(q) + geo::in::g();
}
