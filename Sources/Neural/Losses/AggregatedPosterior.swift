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
