/// `y = x · σ(x)`, the sigmoid-weighted linear unit (Elfwing et al. 2017).
public struct SiLU: Layer {
  public init() {}

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    return (x.map { $0 * Elementary.sigmoid($0) }, x)
  }

  public func backward(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) -> Matrix {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    return dy.map(with: x) { dy, x in dy * Self.derivative(x) }
  }

  /// `σ(x) (1 + x (1 - σ(x)))`
  @inline(__always) static func derivative(_ x: Float) -> Float {
    let s = Elementary.sigmoid(x)
    return s * (1 + x * (1 - s))
  }

  public func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}
}
