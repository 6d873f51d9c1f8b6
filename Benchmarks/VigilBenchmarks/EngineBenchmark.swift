import Configuration
import Evaluation
import Foundation
import Glibc
import Pipeline
import RuleLanguage
import VitalModel

/// What the engine costs with the whole shipped adult set and NEWS2: 100 patients, four vitals at 1 Hz, one message of four
/// observations a patient and second, as CPU time of this thread.
///
/// Baseline: the same slots walked without an engine. Prints samples per CPU-second, bytes per patient, growth of resident
/// memory once every window is full, and a hash of what was told. Run it from the top folder of the package.
func engineBenchmark(samples: Int = 4_000_000) {
  guard let layout = shippedLayout() else {
    print("engine: the rule directory `Rules` is not here")
    return
  }
  let directory = Directory(registry: layout.plan.registry)
  let engine = Engine(
    layout: layout, options: EngineOptions(clock: .stream, recordsEvidence: false), names: directory)
  let patients = 100
  let ward = SyntheticWard(patients: patients, directory: directory, registry: layout.plan.registry)
  let seconds = max(2, samples / (patients * ward.codes.count))
  let warm = min(seconds / 2, 400)
  var transitions = 0
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  func run(_ range: Range<Int>, _ body: (Slot) -> Void) -> UInt64 {
    var spent: UInt64 = 0
    for second in range {
      let slots = ward.slots(second)
      let start = threadNanosecondsOfEngine()
      for slot in slots { body(slot) }
      spent += threadNanosecondsOfEngine() - start
      for transition in engine.output.transitions {
        transitions += 1
        for byte in transition.document.alertID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      }
      engine.output.removeAll()
    }
    return spent
  }
  _ = run(0..<warm, engine.apply)
  let before = residentBytes()
  let spent = run(warm..<seconds, engine.apply)
  let after = residentBytes()
  var tally: Int64 = 0
  let walked = run(0..<warm) { tally &+= $0.mantissa }
  let count = (seconds - warm) * patients * ward.codes.count
  let rate = Double(count) * 1e9 / Double(max(1, spent)) / 1e6
  let footprint = engine.footprint
  print(
    "engine: \(count) samples, \((rate * 100).rounded() / 100) M samples/CPU-s, \(spent / UInt64(max(1, count))) ns each"
  )
  print("engine: walking alone \(walked / UInt64(max(1, warm * patients * ward.codes.count))) ns, tally \(tally)")
  print("engine: \(footprint.bytes / max(1, footprint.patients)) bytes a patient, \(footprint.patients) patients")
  print(
    "engine: resident memory grew by \(after - before) bytes; \(transitions) transitions, hash \(String(hash, radix: 16))"
  )
}

private func shippedLayout() -> PlanLayout? {
  guard let text = try? String(contentsOfFile: "Rules/vitals.yaml", encoding: .utf8),
    let registry = try? VitalRegistryFile.parse(text, file: "Rules/vitals.yaml"),
    let names = try? FileManager.default.subpathsOfDirectory(atPath: "Rules")
  else { return nil }
  let sources = names.sorted().filter { $0.hasSuffix(".yaml") }.compactMap { name in
    (try? String(contentsOfFile: "Rules/" + name, encoding: .utf8)).map { RuleSource(path: name, text: $0) }
  }
  guard let plan = try? RuleLibrary.plan(sources: sources, set: "adult-ward", registry: registry) else { return nil }
  return PlanLayout(plan: plan)
}

/// Patients whose vitals wander; the same on every machine.
private final class SyntheticWard {
  let codes: [VitalCode]
  private var values: [Int64]
  private var state: UInt64 = 7
  private var template: [Slot] = []
  private var position: UInt64 = 0
  private static let centres: [Int64] = [80, 96, 16, 80]
  private static let spreads: [Int64] = [40, 5, 8, 40]

  init(patients: Int, directory: Directory, registry: VitalRegistry) {
    codes = ["hr", "spo2", "resp", "pr"].compactMap { registry.code($0) }
    values = (0..<patients).flatMap { _ in SyntheticWard.centres }
    for patient in 0..<patients {
      for (index, code) in codes.enumerated() {
        var slot = Slot()
        slot.kind = .sample
        slot.code = code
        slot.device = directory.device(tenant: "demo", device: "d\(patient)")
        slot.patient = directory.patient(tenant: "demo", patient: "p\(patient)")
        slot.series = directory.series(patient: slot.patient, code: code, device: slot.device, source: 0)
        if index == codes.count - 1 { slot.flags = .endOfMessage }
        template.append(slot)
      }
    }
  }

  /// One second of the whole ward.
  func slots(_ second: Int) -> [Slot] {
    let time = 1_767_225_600_000 + Int64(second) * 1000
    for index in template.indices {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let vital = index % codes.count
      let pull = values[index] > SyntheticWard.centres[vital] + SyntheticWard.spreads[vital] ? -1 : 0
      let push = values[index] < SyntheticWard.centres[vital] - SyntheticWard.spreads[vital] ? 1 : 0
      values[index] += Int64(state >> 33) % 3 - 1 + Int64(pull + push)
      if vital == 1 { values[index] = min(values[index], 100) }
      position += 1
      template[index].value = DecimalValue(mantissa: values[index])
      template[index].eventTime = time
      template[index].ingestTime = time
      template[index].payload = position
    }
    return template
  }
}

private func threadNanosecondsOfEngine() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// Resident memory of this process, from `/proc/self/statm`.
private func residentBytes() -> Int {
  guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
  let fields = text.split(separator: " ")
  return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
}
