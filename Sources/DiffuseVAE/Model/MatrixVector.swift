import Diffusion
import Neural

/// Samplers and likelihoods work on matrices, a row for each sample.
extension Matrix: Vector {
  public static func combine(_ a: Double, _ x: Matrix, _ b: Double, _ y: Matrix) -> Matrix {
    var result = x
    result.scale(Float(a), adding: Float(b), y)
    return result
  }

  public static func dot(_ x: Matrix, _ y: Matrix) -> Double { x.dot(y) }

  /// Row by row.
  public static func dots(_ x: Matrix, _ y: Matrix) -> [Double] {
    (0..<x.rows).map { x.rows($0..<$0 + 1).dot(y.rows($0..<$0 + 1)) }
  }

  /// Row by row.
  public static func scale(_ x: Matrix, byNormOf a: Matrix, over b: Matrix) -> Matrix {
    let factors = zip(dots(a, a), dots(b, b)).map {
      Float(ratio($0.squareRoot(), $1.squareRoot()))
    }
    var result = x
    result.scaleRows(factors, adding: [Float](repeating: 0, count: x.rows), x)
    return result
  }

  public static func scale(_ x: Matrix, byExponentialOf a: Double, _ y: Matrix) -> Matrix {
    x.scaled(byExponentialOf: Float(a), y)
  }
}
