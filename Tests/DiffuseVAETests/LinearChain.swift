import Neural
import RealModule

@testable import DiffuseVAE

/// A hierarchical VAE of three levels whose networks are single layers:
///
///     z3 ~ N(0, I),  z2 ~ N(c z3, t),  z1 ~ N(a z2 + m, s),  x ~ N(B z1 + b, σ² I)
///
/// with numbers a, c, s, t for each dimension, and B, b and σ² of ``LinearGaussian``. So z2 has the
/// variance v2 = c² + t, z1 has v1 = a² v2 + s, all posteriors are diagonal, and
///
///     x ~ N(B m + b, B diag(v1) Bᵀ + σ² I)
enum LinearChain {
  static let (a, m, s) = ([0.8, -1.5], [0.4, -0.3], [0.5, 0.25])
  static let (c, t) = ([1.2, 0.6], [0.3, 0.7])
  static let v2 = (0..<2).map { c[$0] * c[$0] + t[$0] }
  static let v1 = (0..<2).map { a[$0] * a[$0] * v2[$0] + s[$0] }

  private static func diagonal(_ values: [Double]) -> [[Double]] {
    [[values[0], 0], [0, values[1]]]
  }

  static let settings: VAESettings = {
    var settings = VAESettings()
    (settings.hidden, settings.latent, settings.likelihood) = ([], 2, .gaussian)
    (settings.upperLatents, settings.upperHidden) = ([2, 2], [])
    return settings
  }()

  /// With exact posteriors.
  static func vae() -> VAE {
    var vae = VAE(settings, pixels: 4, seed: 0)
    let (columns, variance) = (LinearGaussian.columns, LinearGaussian.variance)
    // q(z1|x): V (m/v1 + Bᵀ (x - b)/σ²), V⁻¹ = 1/v1 + |B_j|²/σ².
    let widths = (0..<2).map { j in
      1 / (1 / v1[j] + columns[j].reduce(0) { $0 + $1 * $1 } / variance)
    }
    let rows = (0..<2).map { j in columns[j].map { widths[j] * $0 / variance } }
    let shifts = (0..<2).map { j in
      widths[j] * m[j] / v1[j]
        - zip(rows[j], LinearGaussian.offset).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let (four, two) = ([Double](repeating: 0, count: 4), [0.0, 0])
    vae.set("encoder.0.weight", rows + [four, four])
    vae.set("encoder.0.bias", [shifts + widths.map { Double.log($0) }])
    vae.set("decoder.0.weight", (0..<4).map { i in columns.map { $0[i] } })
    vae.set("decoder.0.bias", [LinearGaussian.offset])
    vae.set("log_variance", [[Double.log(variance)]])
    // q(z2|z1): a v2/v1 (z1 - m), s v2/v1; q(z3|z2): c/v2 z2, t/v2.
    let up1 = (0..<2).map { a[$0] * v2[$0] / v1[$0] }
    vae.set("upper.0.encoder.0.weight", diagonal(up1) + [two, two])
    vae.set(
      "upper.0.encoder.0.bias",
      [(0..<2).map { -up1[$0] * m[$0] } + (0..<2).map { Double.log(s[$0] * v2[$0] / v1[$0]) }])
    vae.set("upper.0.decoder.0.weight", diagonal(a) + [two, two])
    vae.set("upper.0.decoder.0.bias", [m + s.map { Double.log($0) }])
    vae.set("upper.1.encoder.0.weight", diagonal((0..<2).map { c[$0] / v2[$0] }) + [two, two])
    vae.set("upper.1.encoder.0.bias", [two + (0..<2).map { Double.log(t[$0] / v2[$0]) }])
    vae.set("upper.1.decoder.0.weight", diagonal(c) + [two, two])
    vae.set("upper.1.decoder.0.bias", [two + t.map { Double.log($0) }])
    return vae
  }

  static func logDensities(of x: Matrix) throws -> [Double] {
    let columns = LinearGaussian.columns
    let mean = (0..<4).map { i in
      LinearGaussian.offset[i] + columns[0][i] * m[0] + columns[1][i] * m[1]
    }
    let covariance = (0..<16).map { place in
      let (i, j) = (place / 4, place % 4)
      return (0..<2).reduce(i == j ? LinearGaussian.variance : 0) {
        $0 + v1[$1] * columns[$1][i] * columns[$1][j]
      }
    }
    return try normalLogDensities(of: x, mean: mean, covariance: covariance)
  }
}
