/// What stands between the linear layers of an ``MLP``.
public enum Activation: String, CaseIterable, Sendable {
  case silu, tanh

  func forward(_ x: Matrix) -> Matrix {
    guard self == .tanh else { return SiLU()(x) }
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    return x.map { Elementary.tanh($0) }
  }

  /// - Parameter x: what `forward` was given.
  func backward(_ dy: Matrix, _ x: Matrix) -> Matrix {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    guard self == .tanh else { return dy.map(with: x) { dy, x in dy * SiLU.derivative(x) } }
    return dy.map(with: x) { dy, x in
      let y = Elementary.tanh(x)
      return dy * (1 - y * y)
    }
  }
}
