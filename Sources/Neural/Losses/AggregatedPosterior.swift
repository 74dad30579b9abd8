import RealModule

/// A batch of posteriors as one distribution: the mixture of all its rows in equal parts.
extension DiagonalGaussian {
  public var count: Int { parameters.rows }

  /// Mean and standard deviation of every dimension of the mixture: `E[μ]` and
  /// `√(E[σ²] + Var[μ])`.
  public var aggregatedMoments: (means: [Double], deviations: [Double]) {
    let (n, d) = (Double(count), dimensions)
    var means = [Double](repeating: 0, count: d)
    var squares = means
    let x = parameters.elements.span
    for row in 0..<count {
      for i in 0..<d { means[i] += Double(x[2 * d * row + i]) / n }
    }
    for row in 0..<count {
      for i in 0..<d {
        let difference = Double(x[2 * d * row + i]) - means[i]
        let variance = Double(Elementary.exp(x[2 * d * row + d + i]))
        squares[i] += (difference * difference + variance) / n
      }
    }
    return (means, squares.map { $0.squareRoot() })
  }

  /// The posteriors of `(z - mean)/deviation` for some dimensions of z.
  ///
  /// - Parameters:
  ///   - means: of all dimensions.
  ///   - deviations: of all dimensions, positive.
  public func standardised(
    _ taken: [Int], means: [Double], deviations: [Double]
  ) -> DiagonalGaussian {
    let logs = taken.map { 2 * Elementary.log(Float(deviations[$0])) }
    var result = Matrix(count, 2 * taken.count)
    for row in 0..<count {
      for (place, i) in taken.enumerated() {
        let mean = Double(parameters[row, i]) - means[i]
        result[row, place] = Float(mean / deviations[i])
        result[row, taken.count + place] = parameters[row, dimensions + i] - logs[place]
      }
    }
    return DiagonalGaussian(result)
  }
}

extension DiagonalGaussian {
  /// A diffusion of z ~ N(μ, s²): `y = α z + σ ε`, and the velocity that is expected given y,
  ///
  ///     y ~ N(α μ, D)  with  D = α² s² + σ²
  ///     E[α ε - σ z | y] = σ (α (1 - s²) (y - α μ)/D - μ)
  ///
  /// A network that is trained on this mean learns what it would on draws of z and ε, with less
  /// noise in its gradient: where σ is small next to s, most of theirs is.
  ///
  /// - Parameters:
  ///   - alphas: α of each row.
  ///   - sigmas: σ of each row, positive.
  ///   - noise: `[count, dimensions]`, draws of N(0, 1); `y = α μ + √D noise`.
  public func diffused(
    alphas: [Float], sigmas: [Float], noise: Matrix
  ) -> (y: Matrix, velocity: Matrix) {
    let (d, rows) = (dimensions, count)
    precondition(noise.columns == d && noise.rows == rows, "a number of noise for each of z")
    precondition(alphas.count == rows && sigmas.count == rows, "an α and a σ for each row")
    var (y, velocity) = (noise, noise)
    var samples = y.elements.mutableSpan
    var targets = velocity.elements.mutableSpan
    let (x, n) = (parameters.elements.span, noise.elements.span)
    for row in 0..<rows {
      let (a, s, from, to) = (alphas[row], sigmas[row], 2 * d * row, d * row)
      for i in 0..<d {
        let (mean, variance) = (x[from + i], Elementary.exp(x[from + d + i]))
        let deviation = (a * a * variance + s * s).squareRoot()
        samples[to + i] = a * mean + deviation * n[to + i]
        targets[to + i] = s * (a * (1 - variance) / deviation * n[to + i] - mean)
      }
    }
    return (y, velocity)
  }
}

extension DiagonalGaussian {
  /// The differential entropy of every row, in nats: `½ Σ (1 + ln 2π + ln σ²)`.
  public var entropies: [Double] {
    let (rows, d) = (count, dimensions)
    let constant = Double(d) * (1 + Double.log(2 * .pi))
    let x = parameters.elements.span
    var entropies = [Double](repeating: 0, count: rows)
    for row in 0..<rows {
      var sum = constant
      for i in 0..<d { sum += Double(x[2 * d * row + d + i]) }
      entropies[row] = 0.5 * sum
    }
    return entropies
  }
}
