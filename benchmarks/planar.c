/* A training step of a planar flow on the energy U4 but for the optimiser: its loss, and the gradient of that.
 *
 * D = 2. `parameters` and `gradient` are loc (2), log scale (2) of the base, then w (K, 2), u (K, 2), b (K).
 * Rezende & Mohamed, 2015, equations 10 to 13, 15 and A.1. */

#include <math.h>
#include <string.h>

#define BATCH 256
#define MOST 128

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

/* Adds the gradient of -log p to g. */
static float energy(const float *z1, const float *z2, float *g1, float *g2) {
    const float pi = 3.14159265358979f;
    float total = 0;
    for (int i = 0; i < BATCH; i++) {
        float w1 = sinf(pi * z1[i] / 2), d1 = pi / 2 * sinf(pi * (z1[i] + 1) / 2);
        float s = sigmoid((z1[i] - 1) / 0.3f), w3 = 3 * s, d3 = 3 * s * (1 - s) / 0.3f;
        float r1 = (z2[i] - w1) / 0.4f, r2 = (z2[i] - w1 + w3) / 0.35f;
        float e1 = -0.5f * r1 * r1, e2 = -0.5f * r2 * r2;
        float more = fmaxf(e1, e2), sum = more + logf(expf(e1 - more) + expf(e2 - more));
        float p1 = expf(e1 - sum), p2 = expf(e2 - sum);
        float o1 = fmaxf(fabsf(z1[i]) - 4, 0) / 0.1f, o2 = fmaxf(fabsf(z2[i]) - 4, 0) / 0.1f;
        total += -sum + 0.5f * (o1 * o1 + o2 * o2);
        float a1 = p1 * r1 / 0.4f, a2 = p2 * r2 / 0.35f;
        g1[i] = -a1 * d1 + a2 * (d3 - d1) + o1 / 0.1f * copysignf(1, z1[i]);
        g2[i] = a1 + a2 + o2 / 0.1f * copysignf(1, z2[i]);
    }
    return total;
}

float loss_and_gradient(int layers, const float *noise, const float *parameters, float *gradient) {
    static float z1[BATCH], z2[BATCH], g1[BATCH], g2[BATCH], h[MOST][BATCH];
    const float *loc = parameters, *log_scale = loc + 2, *w = log_scale + 2, *u = w + 2 * layers, *b = u + 2 * layers;
    float *g_loc = gradient, *g_scale = g_loc + 2, *g_w = g_scale + 2, *g_u = g_w + 2 * layers, *g_b = g_u + 2 * layers;
    float hat1[MOST], hat2[MOST], m[MOST], log_q = 0, log_det = 0;
    const float scale1 = expf(log_scale[0]), scale2 = expf(log_scale[1]), *e1 = noise, *e2 = noise + BATCH;

    for (int i = 0; i < BATCH; i++) {
        z1[i] = loc[0] + scale1 * e1[i];
        z2[i] = loc[1] + scale2 * e2[i];
        log_q -= 0.5f * (e1[i] * e1[i] + e2[i] * e2[i]);
    }
    for (int k = 0; k < layers; k++) {
        float w1 = w[2 * k], w2 = w[2 * k + 1], u1 = u[2 * k], u2 = u[2 * k + 1];
        float q = w1 * u1 + w2 * u2;
        m[k] = -1 + fmaxf(q, 0) + log1pf(expf(-fabsf(q)));
        float c = (m[k] - q) / (w1 * w1 + w2 * w2);
        hat1[k] = u1 + c * w1;
        hat2[k] = u2 + c * w2;
        for (int i = 0; i < BATCH; i++) {
            float t = tanhf(w1 * z1[i] + w2 * z2[i] + b[k]);
            h[k][i] = t;
            z1[i] += hat1[k] * t;
            z2[i] += hat2[k] * t;
            log_det += logf(1 + (1 - t * t) * m[k]);
        }
    }
    float loss = (log_q - log_det + energy(z1, z2, g1, g2)) / BATCH - log_scale[0] - log_scale[1];
    loss -= logf(2 * 3.14159265358979f);

    memset(gradient, 0, sizeof(float) * (4 + 5 * layers));
    for (int k = layers - 1; k >= 0; k--) {
        float w1 = w[2 * k], w2 = w[2 * k + 1], u1 = u[2 * k], u2 = u[2 * k + 1];
        float a1 = 0, a2 = 0, of_w1 = 0, of_w2 = 0, of_b = 0, of_m = 0;
        for (int i = 0; i < BATCH; i++) {
            float t = h[k][i], slope = 1 - t * t, of_det = -1 / (1 + slope * m[k]);
            float of_a = (g1[i] * hat1[k] + g2[i] * hat2[k] - 2 * t * m[k] * of_det) * slope;
            of_m += of_det * slope;
            a1 += g1[i] * t;
            a2 += g2[i] * t;
            z1[i] -= hat1[k] * t;
            z2[i] -= hat2[k] * t;
            of_w1 += of_a * z1[i];
            of_w2 += of_a * z2[i];
            of_b += of_a;
            g1[i] += of_a * w1;
            g2[i] += of_a * w2;
        }
        float q = w1 * u1 + w2 * u2, n = w1 * w1 + w2 * w2, c = (m[k] - q) / n, of_c = a1 * w1 + a2 * w2;
        float of_q = (of_m + of_c / n) * sigmoid(q) - of_c / n, of_n = -of_c * c / n;
        g_w[2 * k] = (of_w1 + c * a1 + of_q * u1 + 2 * of_n * w1) / BATCH;
        g_w[2 * k + 1] = (of_w2 + c * a2 + of_q * u2 + 2 * of_n * w2) / BATCH;
        g_u[2 * k] = (a1 + of_q * w1) / BATCH;
        g_u[2 * k + 1] = (a2 + of_q * w2) / BATCH;
        g_b[k] = of_b / BATCH;
    }
    for (int i = 0; i < BATCH; i++) {
        g_loc[0] += g1[i] / BATCH;
        g_loc[1] += g2[i] / BATCH;
        g_scale[0] += g1[i] * scale1 * e1[i] / BATCH;
        g_scale[1] += g2[i] * scale2 * e2[i] / BATCH;
    }
    g_scale[0] -= 1;
    g_scale[1] -= 1;
    return loss;
}

/* So many steps on one batch after another; the parameters move a little, so that no step is that before. */
float many(int count, int layers, int batches, const float *noise, float *parameters, float *gradient) {
    float total = 0;
    for (int t = 0; t < count; t++) {
        total += loss_and_gradient(layers, noise + 2 * BATCH * (t % batches), parameters, gradient);
        parameters[t % (4 + 5 * layers)] -= 1e-6f * gradient[t % (4 + 5 * layers)];
    }
    return total / count;
}
