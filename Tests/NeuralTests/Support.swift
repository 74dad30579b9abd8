@testable import Neural

/// Draws of N(0, 1), the same for the same seed.
func normal(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
  RandomStream(seed: seed, purpose: .latent).normal(rows: 0..<rows, columns: columns)
}

/// Largest absolute difference of two matrices of one shape.
func distance(_ a: Matrix, _ b: Matrix) -> Float {
  precondition(a.rows == b.rows && a.columns == b.columns)
  return zip(a.elements, b.elements).map { abs($0 - $1) }.max() ?? 0
}

/// Compares an analytic derivative with central differences of `loss`, along the gradient itself
/// (where the slope must be the gradient's norm) and along random directions.
///
/// - Returns: the largest error, relative to the gradient's norm.
func worstSlopeError(
  at point: Matrix, gradient: Matrix, step: Float = 1e-2, loss: (Matrix) -> Double
) -> Double {
  let norm = gradient.squaredNorm.squareRoot()
  var directions = (0..<4).map { normal(point.rows, point.columns, seed: 100 + $0) }
  if norm > 0 { directions.append(gradient) }
  var worst = 0.0
  for var direction in directions {
    direction.scale(Float(1 / direction.squaredNorm.squareRoot()))
    var (ahead, behind) = (point, point)
    ahead.add(step, direction)
    behind.add(-step, direction)
    let slope = (loss(ahead) - loss(behind)) / Double(2 * step)
    worst = max(worst, abs(slope - gradient.dot(direction)) / max(norm, 1e-3))
  }
  return worst
}

/// Checks the derivatives by the input and by every parameter of a network of one or more inputs,
/// under the loss `Σ y ⊙ c` with a random c.
func worstGradientError<Network: Parameterized>(
  _ network: Network, inputs: [Matrix], forward: (Network, [Matrix]) -> Matrix,
  backward: (Network, [Matrix], Matrix, inout Gradients) -> [Matrix]
) -> [String: Double] {
  let y = forward(network, inputs)
  let c = normal(y.rows, y.columns, seed: 77)
  var gradients = Gradients(of: network)
  let dx = backward(network, inputs, c, &gradients)
  var errors: [String: Double] = [:]
  for i in inputs.indices {
    errors["input \(i)"] = worstSlopeError(at: inputs[i], gradient: dx[i]) { moved in
      var changed = inputs
      changed[i] = moved
      return forward(network, changed).dot(c)
    }
  }
  network.forEachParameter { name, parameter in
    let gradient = gradients[parameter].value
    errors[name] = worstSlopeError(at: parameter.value, gradient: gradient) { moved in
      var changed = network
      changed.visitParameters { if $0 == name { $1.value = moved } }
      return forward(changed, inputs).dot(c)
    }
  }
  return errors
}

extension Parameterized {
  /// Fills every parameter with draws of N(0, scale²), so that nothing is zero by construction.
  func randomised(_ scale: Float, seed: UInt64 = 5) -> Self {
    var copy = self
    var next = seed
    copy.visitParameters { _, parameter in
      parameter.value = normal(parameter.value.rows, parameter.value.columns, seed: next)
      parameter.value.scale(scale)
      next += 1
    }
    return copy
  }
}
