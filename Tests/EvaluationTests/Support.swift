import DiffuseVAE
import Neural
import Testing

@testable import Evaluation

/// Draws of N(0, 1), the same for the same seed.
func normal(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
  RandomStream(seed: seed, purpose: .latent).normal(rows: 0..<rows, columns: columns)
}

/// Points on a coarse lattice, so that many distances are equal and many points the same.
func lattice(_ rows: Int, _ columns: Int, below bound: Int, seed: UInt64) -> Matrix {
  let stream = RandomStream(seed: seed, purpose: .component)
  let places = stream.integers(rows: 0..<rows * columns, below: bound)
  return Matrix(rows, columns, places.map { Float($0) })
}

/// `Q diag(values) Qᵀ`, Q a product of three reflections `1 - 2 v vᵀ / ‖v‖²`, so orthogonal.
func rotated(_ values: [Double], seed: UInt64) -> [Double] {
  let n = values.count
  var q = (0..<n).map { i in (0..<n).map { $0 == i ? 1.0 : 0 } }
  for reflection in 0..<3 {
    let v = normal(1, n, seed: seed + UInt64(reflection)).elements.map(Double.init)
    let norm = v.reduce(0) { $0 + $1 * $1 }
    q = q.map { row in
      let dot = zip(row, v).reduce(0) { $0 + $1.0 * $1.1 }
      return zip(row, v).map { $0 - 2 * dot * $1 / norm }
    }
  }
  var product = [Double](repeating: 0, count: n * n)
  for i in 0..<n {
    for j in 0..<n {
      for k in 0..<n { product[i * n + j] += q[i][k] * values[k] * q[j][k] }
    }
  }
  return product
}

/// Expects the message of a ``UserError``, one sentence that contains `part`.
func expectUserError(
  _ part: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) {
  let error = #expect(throws: UserError.self, sourceLocation: sourceLocation, performing: body)
  #expect(
    error?.description.contains(part) == true, "\(error?.description ?? "")",
    sourceLocation: sourceLocation)
}
