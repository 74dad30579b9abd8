import Neural
import Testing

@Suite struct GaussianTransportTests {
  /// Symmetric, eigenvalues from about 0.5 on.
  private static func covariance(_ seed: UInt64, n: Int) -> [Double] {
    let g = RandomStream(seed: seed, purpose: .component).normal(rows: Array(0..<n), columns: n)
    return (0..<n * n).map { place in
      let (i, j) = place.quotientAndRemainder(dividingBy: n)
      return (0..<n).reduce(i == j ? 0.5 : 0) { $0 + Double(g[i, $1]) * Double(g[j, $1]) }
    }
  }

  @Test("In one dimension it stretches by the ratio of deviations")
  func line() throws {
    let way = try GaussianTransport(from: ([2], [9]), to: ([-1], [0.25]))
    #expect(abs(way([5])[0] - (-0.5)) < 1e-14)
    #expect(abs(way([2])[0] - (-1)) < 1e-14)
  }

  @Test("A Σ A is Σ', and A is symmetric and positive, which of all such maps is the optimal one")
  func moments() throws {
    let n = 5
    let (a, b) = (Self.covariance(1, n: n), Self.covariance(2, n: n))
    let mean = [Double](repeating: 0, count: n)
    let way = try GaussianTransport(from: (mean, a), to: (mean, b))
    let columns = (0..<n).map { i in way((0..<n).map { $0 == i ? 1 : 0 }) }
    for i in 0..<n {
      for j in 0..<n {
        #expect(abs(columns[i][j] - columns[j][i]) < 1e-12)
        var sum = 0.0
        for k in 0..<n { for l in 0..<n { sum += columns[k][i] * a[k * n + l] * columns[l][j] } }
        #expect(abs(sum - b[i * n + j]) < 1e-11, "\(sum) is not \(b[i * n + j])")
      }
    }
    let matrix = columns.flatMap { $0 }
    #expect(try symmetricEigen(matrix, n: n).values.allSatisfy { $0 > 0 })
  }

  @Test("The way back is the inverse; a Gaussian without extent along some axis has no way from it")
  func back() throws {
    let n = 4
    let here = ([1, 2, 3, 4.0], Self.covariance(3, n: n))
    let there = ([-1, 0, 7, 2.0], Self.covariance(4, n: n))
    let (way, back) = (
      try GaussianTransport(from: here, to: there), try GaussianTransport(from: there, to: here)
    )
    let x = [0.3, -1.2, 5, 2.2]
    for (found, expected) in zip(back(way(x)), x) { #expect(abs(found - expected) < 1e-11) }
    #expect(throws: LinearAlgebraError.self) {
      try GaussianTransport(from: ([0, 0], [1, 1, 1, 1]), to: ([0, 0], [1, 0, 0, 1]))
    }
    let flat = try GaussianTransport(from: ([0, 0], [1, 0, 0, 4]), to: ([3, 5], [0, 0, 0, 1]))
    #expect(abs(flat([2, 2])[0] - 3) < 1e-12 && abs(flat([2, 2])[1] - 6) < 1e-12)
  }
}
