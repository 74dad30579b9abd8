// Write a sampler: a way from noise to data, for mathematics and for a trained model alike.
// (swift run OwnSampler)
import DiffuseVAE
import Diffusion
import Foundation

/// The midpoint rule for the probability-flow ODE, d(x/(α + σ)) = (ε - x0) dτ, τ being the noise share.
/// It only combines vectors, so it runs on numbers and on batches of images; `denoise`, the estimate of
/// x0 for a noisy x, is all that it knows of the data.
@Sendable func midpoint<V: Vector>(
  from start: V, through levels: [Level], of schedule: NoiseSchedule,
  denoise: (V, Level) throws -> V
) rethrows -> V {
  var x = start
  for (level, next) in zip(levels, levels.dropFirst()) {
    // Half the way by a step of DDIM, …
    let half = schedule.level(noiseShare: (level.noiseShare + next.noiseShare) / 2)
    let step = ddimCoefficients(from: level, to: half)
    let between = V.combine(step.original, try denoise(x, level), step.current, x)
    // … and the whole by the slope there, with ε = (x - α x0)/σ.
    let x0 = try denoise(between, half)
    let slope = V.combine(1 / half.sigma, between, -half.alpha / half.sigma - 1, x0)
    let (scale, time) = (next.alpha + next.sigma, next.noiseShare - level.noiseShare)
    x = .combine(scale / (level.alpha + level.sigma), x, scale * time, slope)
  }
  return x
}

// Of data N(0, s²) the exact denoiser is known, E[x0|x] = α s²/(α² s² + σ²) x, and so is where the ODE
// leads: from x = 1 to s. A rule of order 2 makes a quarter of the error in twice the steps.
let schedule = try NoiseSchedule(.cosine, steps: 1000)
func deviation(steps: Int) throws -> Double {
  midpoint(from: 1.0, through: try schedule.levels(count: steps), of: schedule) { x, level in
    level.alpha * 0.04 / (level.alphaBar * 0.04 + level.variance) * x
  }
}
let errors = try [20, 40].map { abs(try deviation(steps: $0) / 0.2 - 1) }
print("relative error of the deviation: \(errors[0]) in 20 steps, \(errors[1]) in 40")

// The same sampler draws from a model: `Model(of: Run.open("digits", in: "runs"))`, for one. This one's
// images are such Gaussians, in [-1, 1], and its network is their exact denoiser, so it needs no training.
let configuration = try Configuration(
  file: "configs/gaussian.yaml", overriding: ["training.denoiser.steps=1", "training.grids=0"])
let runs = FileManager.default.temporaryDirectory.path + "/own-sampler-\(UUID().uuidString)"
let run = try Run.create(in: runs, name: nil, stem: "gaussian", configuration)
let logger = try Session.begin("OwnSampler", threads: Session.cores)
let data = try Dataset(configuration.data)
let training = Training(run, configuration, data: data, threads: Session.cores, logger: logger)
_ = try training.train(configuration.stages)
var options = SamplingOptions(configuration.sampling, threads: Session.cores)
options.steps = 20
let images = try Generator(try Model(of: run), options).images(0..<4096) {
  [schedule] start, levels, denoise, noise in  // Of each step, for samplers that add any.
  try midpoint(from: start, through: levels, of: schedule, denoise: denoise)
}
try FileManager.default.removeItem(atPath: runs)
let variance = images.affine(2, -1).squaredNorm / Double(images.elements.count)
print("variance of images: \(variance), of the data: 0.04")
guard errors[0] < 0.002, errors[1] < errors[0] / 3, abs(variance / 0.04 - 1) < 0.03 else { exit(1) }
