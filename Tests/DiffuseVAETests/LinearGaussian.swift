import Neural
import RealModule

@testable import DiffuseVAE

/// A VAE whose networks are single layers, of data whose likelihood is known:
///
///     z ~ N(0, I),  x ~ N(B z + b, σ² I),  so that  x ~ N(b, B Bᵀ + σ² I)
///
/// The columns of B are orthogonal, so that the exact posterior has a diagonal covariance:
/// `N(V Bᵀ (x - b)/σ², V)` with `V⁻¹ = 1 + |B_j|²/σ²`.
struct LinearGaussian {
  static let offset = [0.3, -0.2, 0.1, 0.4]
  static let variance = 0.5
  static let columns = [[1.0, 1, 0, 1], [0.5, -1, 2, 0.5]]

  /// With the exact posterior, or one that is as many times as wide.
  static func vae(widening: Double = 1) -> VAE {
    var settings = VAESettings()
    (settings.hidden, settings.latent, settings.likelihood) = ([], 2, .gaussian)
    var vae = VAE(settings, pixels: 4, seed: 0)
    let variances = columns.map { column in
      1 / (1 + column.reduce(0) { $0 + $1 * $1 } / variance)
    }
    let means = zip(columns, variances).map { column, v in column.map { v * $0 / variance } }
    let shifts = means.map { row in -zip(row, offset).reduce(0) { $0 + $1.0 * $1.1 } }
    let nothing = [Double](repeating: 0, count: 4)
    vae.set("encoder.0.weight", means + [nothing, nothing])
    vae.set("encoder.0.bias", [shifts + variances.map { Double.log(widening * widening * $0) }])
    vae.set("decoder.0.weight", (0..<4).map { i in columns.map { $0[i] } })
    vae.set("decoder.0.bias", [offset])
    vae.set("log_variance", [[Double.log(variance)]])
    return vae
  }

  /// Draws of x, `[count, 4]`.
  static func data(_ count: Int) -> Matrix {
    let z = normal(count, 2, seed: 21)
    var x = normal(count, 4, seed: 22)
    x.scale(Float(variance.squareRoot()))
    for row in 0..<count {
      for i in 0..<4 {
        let mean = columns[0][i] * Double(z[row, 0]) + columns[1][i] * Double(z[row, 1])
        x[row, i] += Float(offset[i] + mean)
      }
    }
    return x
  }

  /// `B Bᵀ + σ² I`
  static let covariance: [Double] = (0..<16).map { place in
    let (i, j) = (place / 4, place % 4)
    return columns.reduce(i == j ? variance : 0) { $0 + $1[i] * $1[j] }
  }

  /// ln p(x) of every row, in double precision.
  static func logDensities(of x: Matrix) throws -> [Double] {
    try normalLogDensities(of: x, mean: offset, covariance: covariance)
  }
}

extension Parameterized {
  /// Sets the parameter `name` to these rows, which must be all of it.
  mutating func set(_ name: String, _ rows: [[Double]]) {
    visitParameters { other, parameter in
      guard other == name else { return }
      parameter.value = Matrix(
        parameter.value.rows, parameter.value.columns, rows.flatMap { $0.map { Float($0) } })
    }
  }
}

/// ln N(x; mean, covariance) of every row, in double precision, by the eigenvectors of the
/// covariance.
func normalLogDensities(
  of x: Matrix, mean: [Double], covariance: [Double]
) throws -> [Double] {
  let n = mean.count
  let (values, vectors) = try symmetricEigen(covariance, n: n)
  return (0..<x.rows).map { row in
    (0..<n).reduce(0.0) { sum, k in
      let along = (0..<n).reduce(0.0) {
        $0 + (Double(x[row, $1]) - mean[$1]) * vectors[k * n + $1]
      }
      return sum - 0.5 * (Double.log(2 * .pi * values[k]) + along * along / values[k])
    }
  }
}
