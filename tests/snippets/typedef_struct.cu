// gives: 5
// refused in C: hold pointers
typedef struct Node {
    int v;
    struct Node *next;
} Node;
typedef struct {
    int a, b;
} Pair;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    Node n1 = {1, 0}, n2;
    n2.v = 2;
    n2.next = &n1;
    Pair p = {3, 4};
    o[t] = n2.next->v + p.b;
}
