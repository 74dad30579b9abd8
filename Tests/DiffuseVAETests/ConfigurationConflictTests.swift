import Testing

@testable import DiffuseVAE

/// Settings that do not go together.
@Suite struct ConfigurationConflictTests {
  @Test func conditionConflicts() {
    #expect(
      problems("diffusion: {formulation: none, condition_latent: true, drop_reconstruction: 0.1}")
        .map { $0.dropFirst(12) } == [
          " diffusion.condition_latent must be false and drop_reconstruction 0 with formulation "
            + "none, which has neither z nor x̂0"
        ])
    #expect(
      problems("diffusion: {drop_latent: 0.1}") == [
        "a.yaml:1:13: diffusion.drop_latent must be 0 without condition_latent"
      ])
    #expect(
      problems("diffusion: {drop_label: 0.1}") == [
        "a.yaml:1:13: diffusion.drop_label must be 0 without classes"
      ])
    #expect(
      problems("sampling: {guidance: 1}") == [
        "a.yaml:1:12: sampling.guidance needs a diffusion.drop_reconstruction, drop_latent or "
          + "drop_label above 0"
      ])
    #expect(
      problems("sampling: {guidance_from: 0.6, guidance_to: 0.5}") == [
        "a.yaml:1:32: sampling.guidance_from must be at most guidance_to"
      ])
    #expect(
      problems("vae: {classes: 10}\ndiffusion: {classes: 9}") == [
        "a.yaml:2:13: diffusion.classes must be 0 or the same as vae.classes: else z, which is drawn "
          + "without the label, would tell of another"
      ])
    #expect(problems("diffusion: {formulation: none, classes: 9}\nvae: {classes: 10}").isEmpty)
    #expect(
      problems(
        "{diffusion: {drop_reconstruction: 0.1}, consistency: {kind: distillation},"
          + " sampling: {sampler: consistency, steps: 1, guidance: 1}}"
      ).count == 1)
    #expect(
      problems(
        "{vae: {classes: 10}, diffusion: {classes: 10, drop_label: 0.1, condition_latent: true,"
          + " drop_latent: 1, drop_reconstruction: 0.5}, sampling: {guidance: -1}}"
      ).isEmpty)
  }

  @Test func conflicts() {
    #expect(
      problems("diffusion:\n  formulation: concat\n  condition: false") == [
        "a.yaml:3:3: diffusion.condition must be true with formulation concat; without x̂0 it is none"
      ])
    #expect(
      problems("diffusion: {condition: true, formulation: none}") == [
        "a.yaml:1:30: diffusion.condition must be false with formulation none"
      ])
    #expect(
      problems("diffusion: {condition_noise: 0.1, formulation: none}") == [
        "a.yaml:1:35: diffusion.condition_noise must be 0 with formulation none, which has no x̂0"
      ])
    #expect(
      problems("diffusion: {gamma: 2, loss: noise}") == [
        "a.yaml:1:23: diffusion.gamma is for loss min-snr or p2 only"
      ])
    #expect(problems("diffusion: {gamma: 2, loss: min-snr}") == [])
    for target in ["noise", "score"] {
      #expect(
        problems("diffusion:\n  target: \(target)\n  zero_snr: true") == [
          "a.yaml:3:3: diffusion.zero_snr is for target original or velocity only; "
            + "at pure noise, \(target) says nothing of x0"
        ])
    }
    #expect(problems("diffusion: {target: velocity, zero_snr: true}") == [])
    #expect(
      problems("vae: {objective: iwae, beta: 2, beta_warmup: 5, free_bits: 0.1}") == [
        "a.yaml:1:49: vae.free_bits must be 0 with objective iwae"
      ])
    #expect(problems("vae: {beta_warmup: 5, objective: iwae}") == [])
    #expect(
      problems("vae: {free_bits: 0.1, upper_latents: [5]}") == [
        "a.yaml:1:23: vae.free_bits must be 0 with upper_latents, whose divergences are not known "
          + "one by one"
      ])
    #expect(
      problems("sampling: {steps: 200, eta: 0.5, sampler: ddpm}\ndiffusion: {steps: 100}") == [
        "a.yaml:1:34: sampling.eta is for sampler ddim only",
        "a.yaml:2:13: sampling.steps must be at most diffusion.steps, not 200 with 100",
      ])
    #expect(
      problems("sampling: {variance: large}") == [
        "a.yaml:1:12: sampling.variance is for sampler ddpm only"
      ])
    #expect(
      problems("sampling: {sampler: ddpm, variance: learned}") == [
        "a.yaml:1:27: sampling.variance learned is for diffusion.learn_variance only"
      ])
    #expect(
      problems("diffusion: {timesteps: continuous, learn_variance: true}") == [
        "a.yaml:1:36: diffusion.learn_variance must be false with diffusion.timesteps continuous, "
          + "where no step leads from one t to the next"
      ])
    #expect(
      problems("diffusion: {learn_variance: true}\nconsistency: {kind: distillation}") == [
        "a.yaml:2:15: diffusion.learn_variance must be false with consistency.kind distillation, "
          + "whose model has no variance"
      ])
    #expect(
      problems(
        "data: {set: gaussian}\ndenoiser: {kind: exact}\n"
          + "diffusion: {formulation: none, learn_variance: true}") == [
          "a.yaml:3:32: diffusion.learn_variance must be false with denoiser.kind exact, "
            + "which learns nothing"
        ])
    #expect(
      problems(
        "diffusion: {learn_variance: true}\nsampling: {sampler: ddpm, variance: learned}") == [])
    #expect(
      problems("data: {validation: 100}\ntraining: {grids: 0}") == [
        "a.yaml:2:12: training.grids must be at least 1 with data.validation, whose losses are found then"
      ])
    #expect(
      problems("sampling: {sampler: pc, churn: 1, tolerance: 0.1}") == [
        "a.yaml:1:25: sampling.churn is for sampler euler or heun only",
        "a.yaml:1:35: sampling.tolerance is for sampler rk45 only",
      ])
    #expect(
      problems("sampling: {sampler: pc, step_size: 0.1}\ndiffusion: {schedule: ve}") == [
        "a.yaml:1:25: sampling.step_size is for sampler langevin only"
      ])
    #expect(problems("sampling: {sampler: langevin, step_size: 0.1, corrections: 5}") == [])
    #expect(problems("sampling: {sampler: heun, churn: 1}") == [])
    #expect(problems("sampling: {sampler: ddim, churn: 0}") == [])
    #expect(
      problems("training:\n  vae: {epochs: 5, steps: 100}\n  denoiser: {epochs: null}") == [
        "a.yaml:2:20: training.vae must give epochs or steps, not both",
        "a.yaml:3:14: training.denoiser must give epochs or steps",
      ])
    #expect(
      problems("diffusion: {condition: true}", "diffusion.formulation=none") == [
        "--set diffusion.formulation=none: diffusion.condition must be false with formulation none"
      ])
  }

  @Test func noConflictWithWhatWasNotRead() {
    #expect(problems("sampling: {steps: 2000}\ndiffusion: {stepps: 4000}").count == 1)
    #expect(problems("sampling: {steps: 2000}\ndiffusion: 4000").count == 1)
    #expect(problems("sampling: {steps: 2000}\ndiffusion: {steps: x}").count == 1)
    #expect(problems("sampling: {steps: 2000}\ndifusion: {steps: 4000}").count == 1)
    #expect(problems("sampling: {steps: 2000}\nvae: {latnt: 1}").count == 2)
  }
}
