import RealModule

/// `ln p(x)` of samples at a level of noise under the probability-flow ODE, which carries them to
/// `N(0, I)` (Song et al. 2021, section 4.3 and appendix D.2).
///
/// With τ, a level's noise share, and `y = x/(α + σ)`, the ODE of
/// ``heun(from:through:churn:corrects:level:denoise:noise:)`` is `dy/d ln τ = y - x̂0`, and its
/// divergence `D - (α + σ) tr ∂x̂0/∂x`. The first part of that is integrated at once:
///
///     ln p(x) = ln N(x_T; 0, I) + D ln(σ_T/σ) - ∫ (α + σ) tr(∂x̂0/∂x) d ln τ
///
/// The rest is left to the classical Runge–Kutta method, of order 4, in equal steps of ln τ: no
/// part of it has a singularity at either end. Or in equal steps of λ = ½ ln SNR, with
/// `d ln τ = -(1 - τ) dλ`: a network that says ε or the score knows x0 to an error over α, which
/// is near pure noise of little weight in these and of much in those.
///
/// - Parameters:
///   - x: at `first`, one or several samples.
///   - first: a level with noise. Below what the denoiser was trained on the ODE means nothing.
///   - last: where a sample is taken for pure noise.
///   - steps: positive; each asks four times.
///   - dimensions: of one sample.
///   - inLambda: whether steps are of λ; `last` must then have some signal.
///   - level: that of a noise share, `NoiseSchedule.level(noiseShare:)`.
///   - denoise: the estimate of x0 and, for each sample, the trace of its derivative J by x; or
///     `vᵀ J v`, whose expectation that is if the elements of v are independent, of mean 0 and
///     variance 1 (Hutchinson 1990). The estimate must not be clipped: a clipped one has another
///     derivative.
/// - Returns: for each sample `ln p(x)`, in nats.
public func flowLogDensity<V: Vector>(
  of x: V, from first: Level, to last: Level, steps: Int, dimensions: Int,
  inLambda: Bool = false, level: (Double) -> Level,
  denoise: (V, Level) throws -> (x0: V, trace: [Double])
) rethrows -> [Double] {
  precondition(first.variance > 0 && steps > 0, "a flow starts with noise and has steps")
  let inLambda = inLambda && last.alphaBar > 0
  /// `dy/du`, and the integrand, of u = -λ or ln τ.
  func slope(_ y: V, _ level: Level) throws -> (y: V, trace: [Double]) {
    let (scale, rate) = (level.alpha + level.sigma, inLambda ? 1 - level.noiseShare : 1)
    let (x0, trace) = try denoise(.combine(scale, y, 0, y), level)
    return (.combine(rate, y, -rate, x0), trace.map { rate * scale * $0 })
  }
  func place(_ level: Level) -> Double {
    inLambda ? .log(level.sigma / level.alpha) : .log(level.noiseShare)
  }
  func noiseShare(at place: Double) -> Double {
    inLambda ? 1 / (1 + .exp(-place)) : .exp(place)
  }
  let start = place(first)
  let h = (place(last) - start) / Double(steps)
  var y = V.combine(1 / (first.alpha + first.sigma), x, 0, x)
  var current = first
  var integral: [Double]?
  for i in 1...steps {
    let middle = level(noiseShare(at: start + (Double(i) - 0.5) * h))
    let next = i == steps ? last : level(noiseShare(at: start + Double(i) * h))
    let a = try slope(y, current)
    let b = try slope(.combine(1, y, h / 2, a.y), middle)
    let c = try slope(.combine(1, y, h / 2, b.y), middle)
    let d = try slope(.combine(1, y, h, c.y), next)
    y = .combination([(1, y), (h / 6, a.y), (h / 3, b.y), (h / 3, c.y), (h / 6, d.y)])
    let parts = a.trace.indices.map {
      h / 6 * (a.trace[$0] + 2 * b.trace[$0] + 2 * c.trace[$0] + d.trace[$0])
    }
    integral = integral.map { zip($0, parts).map { $0 + $1 } } ?? parts
    current = next
  }
  let end = V.combine(last.alpha + last.sigma, y, 0, y)
  let constant = .log(last.sigma / first.sigma) - 0.5 * Double.log(2 * .pi)
  return zip(V.dots(end, end), integral ?? []).map {
    Double(dimensions) * constant - $0 / 2 - $1
  }
}
