/// A function of one matrix with its derivative written beside it.
///
/// A layer is read-only while it computes, so one layer serves any number of threads.
public protocol Layer: Parameterized {
  /// What `backward` needs to remember of `forward`.
  associatedtype Residuals: Sendable

  /// - Parameter x: `[batch, inputs]`; feature maps are `[batch·height·width, channels]`.
  /// - Returns: `y`, `[batch, outputs]`, and what `backward` needs.
  func forward(_ x: Matrix) -> (y: Matrix, residuals: Residuals)

  /// Adds the derivatives of the loss by the parameters to `gradients`.
  ///
  /// - Parameter dy: derivative of the loss by `y`.
  /// - Returns: derivative of the loss by `x`.
  func backward(_ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients) -> Matrix

  /// ``backward(_:_:_:)`` for the first layer of a network, whose input is data: the derivative by
  /// `x` is not computed.
  func backwardFromData(_ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients)
}

extension Layer {
  public func callAsFunction(_ x: Matrix) -> Matrix { forward(x).y }

  public func backwardFromData(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) {
    _ = backward(dy, residuals, &gradients)
  }
}
