import VitalModel

/// Name and message counter of one device.
struct Device: Sendable {
  let name: String
  private var sequence: Int64 = 0

  init(name: String) { self.name = name }

  /// The device's next message; the sender fills in when it leaves.
  mutating func message(
    _ content: SimulatedMessage.Content, _ bed: SimulatedBed, _ tenant: String, time: Int64
  ) -> SimulatedMessage {
    // A status (the broker's last will among them) overtakes what waits in the device, so it is not counted.
    var counted: Int64?
    if case .status = content {
    } else {
      sequence += 1
      counted = sequence
    }
    return SimulatedMessage(
      tenant: tenant, device: name, patient: bed.patient, sentAt: time, time: time, sequence: counted, content: content)
  }
}

/// What is wrong with a patient's monitor in one second.
struct DeviceFault: Sendable {
  var probeOff = false
  var clockWrong = false
  /// Cannot reach the broker; keeps its messages.
  var disconnected = false
  var powered = true
  /// Share of its charge that is left while the battery fails; nil: no trouble.
  var battery: Double?

  mutating func add(_ plan: ScenarioPlan, second: Int64, pace: Double) {
    let elapsed = Double(second - plan.start)
    let phase = plan.phases(pace: pace)
    guard elapsed >= 0, elapsed < phase.over else { return }
    switch plan.kind {
    case .probeOff: probeOff = true
    case .clockSkew: clockWrong = true
    case .backfill: disconnected = true
    case .flatBattery:
      powered = elapsed < phase.full
      battery = Curve.clamp(1 - elapsed / phase.full)
    default: break
    }
  }
}

/// Messages a monitor has not sent yet, oldest first; usually empty after every second.
struct Backlog: Sendable {
  /// Sent at most in one second: a backlog arrives as a burst, yet takes a few seconds.
  static let burst = 120
  /// Kept at most (two hours at one message a second); then the oldest is lost, as in a real device's memory.
  static let capacity = 7200
  private var waiting: [SimulatedMessage] = []
  private var first = 0

  mutating func append(_ message: SimulatedMessage) {
    if waiting.count - first >= Backlog.capacity { first += 1 }
    if first > Backlog.capacity {
      waiting.removeFirst(first)
      first = 0
    }
    waiting.append(message)
  }

  mutating func drain(at now: Int64, into out: inout [SimulatedMessage]) {
    let end = min(waiting.count, first + Backlog.burst)
    while first < end {
      waiting[first].sentAt = now
      out.append(waiting[first])
      first += 1
    }
    if first == waiting.count {
      waiting.removeAll(keepingCapacity: true)
      first = 0
    }
  }
}

/// The clip on the finger, the worst of all sensors: it moves, it falls off, it loses the pulse.
struct PulseSensor: Sendable {
  private var motionLeft = 0
  private var motionDip = 0.0
  private var motionPulse = 0.0
  private var motionFlagged = false
  private var dropoutLeft = 0

  /// What the monitor shows in one second.
  struct Sight: Sendable {
    var spo2: Int64
    var pulse: Int64
    /// Hundredths.
    var quality: Int64
    var status: SampleStatus?
    /// The pulse was not found: neither value is sent.
    var missing: Bool

    func append(to observations: inout [SimulatedObservation], body: BodyState) {
      observations.append(
        .init("hr", .number(DecimalValue(mantissa: Curve.nearest(body.hr))), source: "ecg"))
      observations.append(.init("resp", .number(DecimalValue(mantissa: Curve.nearest(body.resp)))))
      guard !missing else { return }
      let hundredths = DecimalValue(mantissa: quality, exponent: -2)
      observations.append(
        .init("spo2", .number(DecimalValue(mantissa: spo2)), quality: hundredths, source: "pleth", status: status))
      observations.append(
        .init("pr", .number(DecimalValue(mantissa: pulse)), quality: hundredths, source: "pleth", status: status))
    }
  }

  /// Motion about every two hours for 6 to 24 s, a lost pulse about every three hours for 5 to 40 s.
  mutating func observe(_ body: BodyState, probeOff: Bool, _ generator: inout SeededGenerator) -> Sight {
    let jitter = generator.bell()
    let choice = generator.next()
    if motionLeft > 0 { motionLeft -= 1 } else if choice % 7200 == 0 { startMotion(&generator) }
    if dropoutLeft > 0 { dropoutLeft -= 1 } else if choice % 10_800 == 1 { dropoutLeft = generator.integer(5...40) }
    var sight = Sight(
      spo2: Curve.nearest(body.spo2), pulse: Curve.nearest(max(0, body.hr - body.pulseDeficit + 0.5 * jitter)),
      quality: 96 + Curve.nearest(jitter), status: nil, missing: dropoutLeft > 0)
    if motionLeft > 0 {
      sight.spo2 = Curve.nearest(max(55, body.spo2 - motionDip + 1.5 * jitter))
      sight.pulse = Curve.nearest(body.hr + motionPulse + 6 * jitter)
      sight.quality = 32 + Curve.nearest(5 * jitter)
      sight.status = motionFlagged ? .artifact : nil
    }
    if probeOff {
      // The light falls on nothing: numbers without meaning, and the device says so.
      sight.spo2 = 72 + Curve.nearest(6 * jitter)
      sight.pulse = 30 + Curve.nearest(8 * jitter)
      sight.quality = 0
      sight.status = .leadOff
      sight.missing = false
    }
    return sight
  }

  private mutating func startMotion(_ generator: inout SeededGenerator) {
    motionLeft = generator.integer(6...24)
    motionDip = generator.uniform(8..<18)
    motionPulse = generator.uniform(18..<55)
    motionFlagged = generator.next() & 1 == 0
  }
}

/// The monitor's own heart rate alarm, factory limits 40 and 140 /min held for five seconds.
struct RateAlarm: Sendable {
  private var highFor = 0
  private var lowFor = 0
  private var active: (event: String, id: String)?

  mutating func judge(hr: Double, second: Int64, device: String) -> SimulatedEvent? {
    highFor = hr >= 140 ? highFor + 1 : 0
    lowFor = hr <= 40 ? lowFor + 1 : 0
    if let (event, id) = active {
      guard event == "tachycardia" ? hr < 132 : hr > 45 else { return nil }
      active = nil
      return SimulatedEvent(event: event, starts: false, priority: .medium, alertID: id)
    }
    guard highFor == 5 || lowFor == 5 else { return nil }
    let event = highFor == 5 ? "tachycardia" : "bradycardia"
    let id = "\(device)-\(second)"
    active = (event, id)
    return SimulatedEvent(event: event, starts: true, priority: .medium, alertID: id)
  }
}
