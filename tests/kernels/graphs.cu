// Graphs: breadth-first frontiers, components by hooking and jumping, shortest paths, PageRank.

extern "C" __global__ void bfs_step(const int* __restrict__ row_offsets, const int* __restrict__ columns,
                                    int* __restrict__ level, int nodes, int depth, int* __restrict__ changed)
{
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= nodes || level[v] != depth) return;
    for (int e = row_offsets[v]; e < row_offsets[v + 1]; ++e) {
        int w = columns[e];
        if (level[w] < 0) {
            level[w] = depth + 1;
            *changed = 1;
        }
    }
}

// The same by queues: who finds a node first puts it into the next frontier.
extern "C" __global__ void bfs_frontier(const int* row_offsets, const int* columns, int* level,
                                        const int* frontier, int frontier_size, int* next, int* next_size,
                                        int depth)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= frontier_size) return;
    int v = frontier[i];
    for (int e = row_offsets[v]; e < row_offsets[v + 1]; ++e) {
        int w = columns[e];
        if (atomicCAS(&level[w], -1, depth + 1) == -1)
            next[atomicAdd(next_size, 1)] = w;
    }
}

// Union-find: the smaller root wins, so the label of a component is its smallest node.
__device__ int find_root(const int* parent, int v)
{
    while (parent[v] != v) v = parent[v];
    return v;
}

extern "C" __global__ void union_init(int* parent, int n)
{
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v < n) parent[v] = v;
}

extern "C" __global__ void union_edges(int* parent, const int2* edges, int num_edges)
{
    int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= num_edges) return;
    int a = edges[e].x, b = edges[e].y;
    bool done;
    do {
        a = find_root(parent, a);
        b = find_root(parent, b);
        if (a < b) {
            int old = atomicMin(&parent[b], a);
            done = (old == b);
            b = old;
        } else if (b < a) {
            int old = atomicMin(&parent[a], b);
            done = (old == a);
            a = old;
        } else {
            done = true;
        }
    } while (!done);
}

extern "C" __global__ void union_compress(int* parent, int n)
{
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v < n) parent[v] = find_root(parent, v);
}

// One relaxation of Floyd-Warshall.
extern "C" __global__ void floyd_warshall_step(int* dist, int n, int k)
{
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    int i = blockIdx.y * blockDim.y + threadIdx.y;
    if (i >= n || j >= n) return;
    int through = dist[i * n + k] + dist[k * n + j];
    if (through < dist[i * n + j]) dist[i * n + j] = through;
}

// Bellman-Ford over the edges.
extern "C" __global__ void relax_edges(const int3* __restrict__ edges, int* distances, int num_edges,
                                       int* changed)
{
    int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e < num_edges) {
        int3 edge = edges[e]; // from, to, weight
        int from = distances[edge.x];
        if (from != 0x3fffffff) {
            int candidate = from + edge.z;
            if (atomicMin(&distances[edge.y], candidate) > candidate) atomicExch(changed, 1);
        }
    }
}

extern "C" __global__ void pagerank_pull(const int* in_offsets, const int* in_nodes, const int* out_degree,
                                         const float* rank, float* next, float damping, int n)
{
    int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v < n) {
        float sum = 0.0f;
        for (int e = in_offsets[v]; e < in_offsets[v + 1]; e++) {
            int u = in_nodes[e];
            sum += rank[u] / (float)out_degree[u];
        }
        next[v] = (1.0f - damping) / n + damping * sum;
    }
}
