/// One person's usual values and how they move through the day.
struct Baseline: Sendable {
  let age: Int
  let hr: Double
  let spo2: Double
  let resp: Double
  let sbp: Double
  let dbp: Double
  let temp: Double
  let glucose: Double
  let weight: Double
  let perfusion: Double

  /// Draws an adult at rest; the ranges stay inside the zero-point bands of NEWS2 (Royal College of Physicians, 2017).
  init(_ generator: inout SeededGenerator) {
    age = generator.integer(24...88)
    hr = generator.uniform(63..<82)
    spo2 = generator.uniform(96.2..<98.6)
    resp = generator.uniform(13.5..<17.5)
    sbp = generator.uniform(117..<136)
    dbp = sbp * generator.uniform(0.58..<0.66)
    temp = generator.uniform(36.5..<36.95)
    glucose = generator.uniform(96..<128)
    weight = generator.uniform(54..<98)
    perfusion = generator.uniform(1.8..<4.5)
  }

  /// The usual values at a time of day (milliseconds since 1970, UTC taken as ward time): lowest about 4 o'clock.
  func state(at time: Int64) -> BodyState {
    let day = 86_400_000.0
    let turns = Double(time) / day
    let tide = Curve.sine(turns: turns - 10.0 / 24)
    return BodyState(
      hr: hr + 4 * tide, spo2: spo2 + 0.35 * tide, resp: resp + 0.6 * tide, sbp: sbp + 5 * tide, dbp: dbp + 3 * tide,
      temp: temp + 0.25 * tide, glucose: glucose + 6 * tide, weight: weight, perfusion: perfusion)
  }
}

/// The true state of one body at one moment, before any sensor sees it. Units of the registry: /min, %, mmHg, degrees
/// Celsius, mg/dL, kg.
struct BodyState: Sendable {
  var hr: Double
  var spo2: Double
  var resp: Double
  var sbp: Double
  var dbp: Double
  var temp: Double
  var glucose: Double
  var weight: Double
  var perfusion: Double
  /// Share of the mean RR interval by which beats scatter.
  var irregularity = 0.02
  /// Beats a minute that the pulse oximeter does not see.
  var pulseDeficit = 0.0
  var consciousness = "A"
  var oxygenFlow = 0.0

  /// Moves the body `severity` (0...1) of the way into the illness.
  mutating func suffer(_ kind: ScenarioKind, severity s: Double) {
    guard s > 0 else { return }
    // Saturation and wakefulness follow the primary change with a lag.
    let late = Curve.clamp((s - 0.3) / 0.7)
    switch kind {
    case .sepsis:
      move(hr: 138, spo2: 87, resp: 31, sbp: 80, dbp: 44, share: s, oxygenation: late)
      temp = Curve.blend(temp, 39.5, Curve.clamp(s * 1.4))
      perfusion = Curve.blend(perfusion, 0.7, s)
      oxygenFlow = s > 0.75 ? 2 : 0
      consciousness = s > 0.7 ? "C" : "A"
    case .opioidDepression:
      move(hr: 54, spo2: 80, resp: 5, sbp: 102, dbp: 58, share: s, oxygenation: late)
      consciousness = s > 0.85 ? "P" : s > 0.55 ? "V" : "A"
    case .heartFailure:
      move(hr: 98, spo2: 91, resp: 24, sbp: 148, dbp: 88, share: s, oxygenation: late)
      weight += 4.2 * s
    case .hypoglycaemia:
      move(hr: 104, spo2: spo2, resp: 19, sbp: 142, dbp: 78, share: s, oxygenation: 0)
      glucose = Curve.blend(glucose, 46, s)
      consciousness = s > 0.85 ? "C" : "A"
    case .atrialFibrillation:
      move(hr: 146, spo2: spo2 - 1.5, resp: 21, sbp: 108, dbp: 68, share: s, oxygenation: late)
      irregularity = Curve.blend(irregularity, 0.2, s)
      pulseDeficit = 16 * s
    case .haemorrhage:
      move(hr: 142, spo2: 92, resp: 29, sbp: 72, dbp: 43, share: s, oxygenation: late)
      temp = Curve.blend(temp, 36.0, s)
      perfusion = Curve.blend(perfusion, 0.3, s)
      consciousness = s > 0.9 ? "V" : s > 0.7 ? "C" : "A"
    case .probeOff, .flatBattery, .clockSkew, .backfill: break
    }
  }

  private mutating func move(
    hr: Double, spo2: Double, resp: Double, sbp: Double, dbp: Double, share: Double, oxygenation: Double
  ) {
    self.hr = Curve.blend(self.hr, hr, share)
    self.resp = Curve.blend(self.resp, resp, share)
    self.sbp = Curve.blend(self.sbp, sbp, share)
    self.dbp = Curve.blend(self.dbp, dbp, share)
    self.spo2 = Curve.blend(self.spo2, spo2, oxygenation)
  }
}

/// The slow and fast wander of one body's values around their mean.
struct BodyNoise: Sendable {
  var hrSlow = CorrelatedNoise(deviation: 1.6, memory: 0.985)
  var hrFast = CorrelatedNoise(deviation: 0.8, memory: 0.4)
  var spo2 = CorrelatedNoise(deviation: 0.4, memory: 0.97)
  var resp = CorrelatedNoise(deviation: 0.7, memory: 0.95)
  var pressure = CorrelatedNoise(deviation: 3, memory: 0.998)
  var temp = CorrelatedNoise(deviation: 0.05, memory: 0.999)
  var glucose = CorrelatedNoise(deviation: 2.5, memory: 0.995)
  var perfusion = CorrelatedNoise(deviation: 0.12, memory: 0.9)
  var beat = CorrelatedNoise(deviation: 1, memory: 0.1)

  /// Adds one second of wander to `state`.
  mutating func disturb(_ state: inout BodyState, _ generator: inout SeededGenerator) {
    // In fibrillation the rate jumps from second to second.
    let jump = beat.next(&generator)
    let scatter = state.irregularity > 0.05 ? state.hr * state.irregularity * 0.35 * jump : 0
    state.hr = max(0, state.hr + hrSlow.next(&generator) + hrFast.next(&generator) + scatter)
    state.spo2 = min(100, state.spo2 + spo2.next(&generator))
    state.resp = max(1, state.resp + resp.next(&generator))
    let shift = pressure.next(&generator)
    state.sbp += shift
    state.dbp = min(state.dbp + 0.6 * shift, state.sbp - 12)
    state.temp += temp.next(&generator)
    state.glucose = max(25, state.glucose + glucose.next(&generator))
    state.perfusion = max(0.1, state.perfusion + perfusion.next(&generator))
  }
}
