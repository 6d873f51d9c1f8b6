import VitalModel

/// One patient with bedside monitor, nurse's chart and, where the illness calls for it, glucose sensor or scale.
struct SimulatedPatient: Sendable {
  let bed: SimulatedBed
  let plans: [ScenarioPlan]
  private let settings: WardSettings
  private let baseline: Baseline
  /// Milliseconds after the full second at which this patient's devices send.
  private let phase: Int64
  private let sendsBeats: Bool
  private let batteryOffset: Double
  /// What a wrong clock is wrong by, milliseconds.
  private let skew: Int64

  private var generator: SeededGenerator
  private var noise = BodyNoise()
  private var sensor = PulseSensor()
  private var monitor: Device
  private var chart: Device
  private var glucoseSensor: Device?
  private var scale: Device?
  private var backlog = Backlog()
  private var cuffDue: Int64
  private var thermometerDue: Int64
  private var roundDue: Int64
  private var glucoseDue: Int64 = 4
  private var weightDue: Int64 = 5
  private var lastBattery: Int64 = -1
  private var wasOnline = false
  private var rateAlarm = RateAlarm()

  init(number: Int, settings: WardSettings, plans: [ScenarioPlan]) {
    self.settings = settings
    self.plans = plans
    phase = Int64(number * 1000 / settings.patients)
    var generator = SeededGenerator(seed: settings.seed, stream: UInt64(number) + 1)
    baseline = Baseline(&generator)
    let digits = String(number + 1)
    let name = String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    monitor = Device(name: "mon-\(name)")
    chart = Device(name: "chart-\(name)")
    let kinds = Set(plans.map(\.kind))
    if kinds.contains(.hypoglycaemia) { glucoseSensor = Device(name: "cgm-\(name)") }
    if kinds.contains(.heartFailure) { scale = Device(name: "scale-\(name)") }
    sendsBeats = kinds.contains(.atrialFibrillation) || number % 8 == 3
    batteryOffset = generator.uniform(0..<55)
    skew = Int64(generator.integer(300...900)) * (generator.next() & 1 == 0 ? 1000 : -1000)
    // Rounds start within the first seconds, so that a score has all it needs early, and then spread out.
    cuffDue = Int64(generator.integer(1...6))
    thermometerDue = Int64(generator.integer(1...6))
    roundDue = Int64(generator.integer(2...8))
    self.generator = generator
    let devices = [monitor, chart, glucoseSensor, scale].compactMap { $0?.name }
    bed = SimulatedBed(patient: "sim-\(name)", age: baseline.age, bed: String(number + 1), devices: devices)
  }

  /// Lives one second and appends what the devices send in it.
  mutating func step(second: Int64, into out: inout [SimulatedMessage]) {
    let now = settings.start + second * 1000 + phase
    var body = baseline.state(at: now)
    var severity = 0.0
    var fault = DeviceFault()
    for plan in plans {
      let share = plan.severity(at: second, pace: settings.pace)
      if plan.kind.isPhysiological {
        body.suffer(plan.kind, severity: share)
        severity = max(severity, share)
      } else {
        fault.add(plan, second: second, pace: settings.pace)
      }
    }
    noise.disturb(&body, &generator)
    stepMonitor(body, severity: severity, fault: fault, second: second, now: now, into: &out)
    stepSpots(body, severity: severity, second: second, now: now, into: &out)
  }

  private mutating func stepMonitor(
    _ body: BodyState, severity: Double, fault: DeviceFault, second: Int64, now: Int64,
    into out: inout [SimulatedMessage]
  ) {
    // Drawn even when nothing is sent, so that a fault of the device never changes the patient.
    let seen = sensor.observe(body, probeOff: fault.probeOff, &generator)
    let deviceTime = now + (fault.clockWrong ? skew : 0)
    if !fault.powered {
      if wasOnline { send(&monitor, .status(online: false), time: now, now: now, &out) }
      wasOnline = false
      return
    }
    if fault.disconnected {
      // The broker publishes the last will; the device goes on measuring.
      if wasOnline { send(&monitor, .status(online: false), time: now, now: now, &out) }
      wasOnline = false
    } else if !wasOnline {
      send(&monitor, .status(online: true), time: deviceTime, now: now, &out)
      wasOnline = true
    }
    var observations: [SimulatedObservation] = []
    observations.reserveCapacity(10)
    seen.append(to: &observations, body: body)
    if sendsBeats { observations.append(beat(body)) }
    if second % 5 == 0, !fault.probeOff {
      observations.append(.init("perfusion_index", tenths(body.perfusion), unit: "%"))
    }
    appendCuff(body, severity: severity, second: second, to: &observations)
    appendBattery(fault, second: second, to: &observations)
    backlog.append(monitor.message(.vitals(observations), bed, settings.tenant, time: deviceTime))
    if let event = rateAlarm.judge(hr: body.hr, second: second, device: monitor.name) {
      backlog.append(monitor.message(.event(event), bed, settings.tenant, time: deviceTime))
    }
    if wasOnline { backlog.drain(at: now, into: &out) }
  }

  private mutating func beat(_ body: BodyState) -> SimulatedObservation {
    let mean = 60_000 / max(body.hr, 20)
    // No heart beats again within its refractory time.
    let interval = max(240, mean * (1 + body.irregularity * generator.bell()))
    return .init("rr_interval", .number(DecimalValue(mantissa: Curve.nearest(interval))), unit: "ms", source: "ecg")
  }

  private mutating func appendCuff(
    _ body: BodyState, severity: Double, second: Int64, to observations: inout [SimulatedObservation]
  ) {
    if second >= cuffDue {
      // A patient who worries the nurse is measured more often.
      cuffDue = second + spot(severity > 0.4 ? 300 : 900)
      let sbp = Curve.nearest(max(30, body.sbp))
      let dbp = min(Curve.nearest(max(15, body.dbp)), sbp - 8)
      for (key, value) in [("sbp", sbp), ("dbp", dbp), ("map", dbp + (sbp - dbp + 1) / 3)] {
        observations.append(.init(key, .number(DecimalValue(mantissa: value)), unit: "mm[Hg]", source: "cuff"))
      }
    }
    if second >= thermometerDue {
      thermometerDue = second + spot(300)
      observations.append(.init("temp", tenths(body.temp), unit: "Cel"))
    }
  }

  private mutating func appendBattery(
    _ fault: DeviceFault, second: Int64, to observations: inout [SimulatedObservation]
  ) {
    // Between two charges an ordinary battery falls from full by four per cent an hour.
    let drain = (Double(second) / 900 + batteryOffset)
    let usual = 100 - (drain - (drain / 60).rounded(.down) * 60)
    let level = Curve.nearest(fault.battery.map { $0 * usual } ?? usual)
    guard second % 60 == 0 || (fault.battery != nil && level != lastBattery) else { return }
    lastBattery = level
    observations.append(
      .init("battery", .number(DecimalValue(mantissa: level)), unit: "%", status: level < 10 ? .lowBattery : nil))
  }

  private mutating func stepSpots(
    _ body: BodyState, severity: Double, second: Int64, now: Int64, into out: inout [SimulatedMessage]
  ) {
    if second >= roundDue {
      roundDue = second + spot(severity > 0.4 ? 3600 : 14_400)
      let flow = DecimalValue(mantissa: Curve.nearest(body.oxygenFlow))
      send(
        &chart,
        .vitals([
          .init("consciousness", .letter(body.consciousness)), .init("o2_flow", .number(flow), unit: "L/min"),
        ]), time: now, now: now, &out)
    }
    if glucoseSensor != nil, second >= glucoseDue {
      glucoseDue = second + spot(300)
      let value = SimulatedObservation(
        "glucose", .number(DecimalValue(mantissa: Curve.nearest(body.glucose))), unit: "mg/dL", source: "cgm")
      send(&glucoseSensor!, .vitals([value]), time: now, now: now, &out)
    }
    if scale != nil, second >= weightDue {
      weightDue = second + spot(86_400)
      send(&scale!, .vitals([.init("weight", tenths(body.weight), unit: "kg")]), time: now, now: now, &out)
    }
  }

  private func spot(_ seconds: Double) -> Int64 { max(1, Curve.nearest(seconds / settings.spotPace)) }

  private func tenths(_ value: Double) -> SimulatedObservation.Value {
    .number(DecimalValue(mantissa: Curve.nearest(value * 10), exponent: -1))
  }

  private func send(
    _ device: inout Device, _ content: SimulatedMessage.Content, time: Int64, now: Int64,
    _ out: inout [SimulatedMessage]
  ) {
    var message = device.message(content, bed, settings.tenant, time: time)
    message.sentAt = now
    out.append(message)
  }
}
