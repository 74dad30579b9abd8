/// `y = x · σ(x)`, the sigmoid-weighted linear unit (Elfwing et al. 2017).
public struct SiLU: Layer {
  public init() {}

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Matrix) {
    (x.map { $0 * Elementary.sigmoid($0) }, x)
  }

  public func backward(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) -> Matrix {
    var dx = dy
    dx.update(with: x) { dy, x in
      let s = Elementary.sigmoid(x)
      return dy * s * (1 + x * (1 - s))
    }
    return dx
  }

  public func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}
}
