import RealModule

/// Data whose density is known at every level of noise: a mixture of Gaussians along the axes. Its
/// exact denoiser stands in for a trained network, so that samplers and likelihoods can be tried
/// without any.
public struct KnownData: Sendable {
  /// One of the Gaussians, or what is left of it once a noisy sample is known.
  public struct Component: Sendable {
    public var weight: Double
    public var means: [Double]
    public var variances: [Double]

    public init(weight: Double, means: [Double], variances: [Double]) {
      (self.weight, self.means, self.variances) = (weight, means, variances)
    }
  }

  /// All of one size; weights sum to 1.
  public let components: [Component]

  public init(_ components: [Component]) { self.components = components }

  /// What x0 may be, given a noisy sample.
  public struct Posterior: Sendable {
    /// `E[x0|x]`
    public let mean: [Double]
    fileprivate let parts: [Component]
    fileprivate let level: Level

    /// `J v`, J being the derivative of ``mean`` by the sample, which is symmetric:
    /// `J = α/σ² Cov(x0|x)`.
    public func derivative(times v: [Double]) -> [Double] {
      var product = [Double](repeating: 0, count: v.count)
      for part in parts {
        let offset = [Double].combine(1, part.means, -1, mean)
        let along = [Double].dot(offset, v)
        for i in v.indices {
          product[i] += part.weight * (part.variances[i] * v[i] + along * offset[i])
        }
      }
      let factor = level.alpha / level.variance
      return product.map { factor * $0 }
    }
  }

  /// - Parameter level: with noise.
  public func posterior(of x: [Double], at level: Level) -> Posterior {
    let (alpha, alphaBar, noise) = (level.alpha, level.alphaBar, level.variance)
    // Weights are logarithms at first.
    var parts = components
    for k in parts.indices {
      var log = Double.log(parts[k].weight)
      for i in x.indices {
        let (mean, variance) = (parts[k].means[i], parts[k].variances[i])
        let total = alphaBar * variance + noise
        let distance = x[i] - alpha * mean
        log -= (.log(total) + distance * distance / total) / 2
        parts[k].means[i] = mean + alpha * variance / total * distance
        parts[k].variances[i] = variance * noise / total
      }
      parts[k].weight = log
    }
    let largest = parts.reduce(-.infinity) { max($0, $1.weight) }
    let sum = parts.reduce(0) { $0 + .exp($1.weight - largest) }
    for k in parts.indices { parts[k].weight = .exp(parts[k].weight - largest) / sum }
    let mean = [Double].combination(parts.map { ($0.weight, $0.means) })
    return Posterior(mean: mean, parts: parts, level: level)
  }

  /// x0, of the component in whose share of the weights `choice` falls: In 0..<1.
  ///
  /// - Parameter noise: of N(0, I).
  public func sample(choice: Double, noise: [Double]) -> [Double] {
    var (left, chosen) = (choice, components[0])
    for next in components.dropFirst() where left >= chosen.weight {
      left -= chosen.weight
      chosen = next
    }
    return noise.indices.map { chosen.means[$0] + chosen.variances[$0].squareRoot() * noise[$0] }
  }

  /// The differential entropy in nats, of components that do not overlap.
  public var separatedEntropy: Double {
    components.reduce(0) { sum, part in
      let logs = part.variances.reduce(0) { $0 + .log(2 * .pi * $1) + 1 }
      return sum + part.weight * (logs / 2 - .log(part.weight))
    }
  }
}
