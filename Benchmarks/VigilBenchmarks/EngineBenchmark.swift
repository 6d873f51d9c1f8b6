import CAllocationCount
import Evaluation
import Foundation
import Glibc
import Pipeline
import RuleLanguage
import Service
import VitalModel

/// What the engine costs, as CPU time of this thread: by itself, on slots that are decoded already. Run it from the top
/// folder of the package.
enum EngineBenchmark {
  /// - Returns: the exit code.
  static func run(_ arguments: [String]) -> Int32 {
    let samples = arguments.first.flatMap { Int($0) }
    let options = LiveOptions(samples == nil ? arguments : Array(arguments.dropFirst()))
    let set = options.text("set") ?? "adult-ward"
    do {
      let files = try RuleFiles.read("Rules")
      let layout = PlanLayout(plan: try files.plan(set: set))
      if let input = options.text("input") {
        try recording(input, set: set, files: files, layout: layout)
      } else {
        synthetic(samples: max(1, samples ?? 4_000_000), set: set, layout: layout)
      }
      return 0
    } catch {
      print("engine: failed: \(error)")
      return 1
    }
  }

  /// 100 patients, four vitals at 1 Hz, one message of four observations a patient and second. Measured once every window
  /// is full. Baseline: the same slots walked without an engine.
  private static func synthetic(samples: Int, set: String, layout: PlanLayout) {
    let run = EngineRun(layout, Directory(registry: layout.plan.registry))
    let patients = 100
    let ward = SyntheticWard(patients: patients, directory: run.directory, registry: layout.plan.registry)
    let seconds = max(3, samples / (patients * ward.codes.count))
    let warm = min(seconds / 3, 400)
    for second in 0..<warm { run.apply(ward.slots(second)) }
    run.forget()
    let before = residentBytes()
    for second in warm..<(seconds - warm) { run.apply(ward.slots(second)) }
    let after = residentBytes()
    run.report(set)
    print("engine: resident memory grew by \(after - before) bytes; hash \(String(run.hash, radix: 16))")
    for second in (seconds - warm)..<seconds { run.applySingly(ward.slots(second)) }
    run.reportAllocations()
    var tally: Int64 = 0
    let start = threadNanosecondsOfEngine()
    for second in 0..<warm { for slot in ward.slots(second) { tally &+= slot.mantissa } }
    let walked = threadNanosecondsOfEngine() - start
    print("engine: making and walking alone \(walked / UInt64(max(1, warm * patients * 4))) ns, tally \(tally)")
  }

  /// A recording twice, each time by a new engine: once for time and memory, once to tell whose allocations are whose. Its
  /// columns are read as `Rules/maps` says for the folder it lies in.
  private static func recording(_ path: String, set: String, files: RuleFiles, layout: PlanLayout) throws {
    let directory = Directory(registry: layout.plan.registry)
    let slots = try RecordedSlots(path, files: files, directory: directory)
    let run = EngineRun(layout, directory)
    slots.forEachBatch(run.apply)
    print(
      "engine: \(slots.rows) messages of \(path), \(slots.outOfOrder) out of order, \(slots.refused) samples refused")
    run.report(set)
    let counted = EngineRun(layout, directory)
    slots.forEachBatch(counted.applySingly)
    counted.reportAllocations()
  }
}

/// One engine being measured.
private final class EngineRun {
  let directory: Directory
  private let engine: Engine
  private var samples = 0
  private var nanoseconds: UInt64 = 0
  private var allocations: UInt64 = 0
  private var transitions = 0
  private var rows = 0
  private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  /// Of samples applied singly: those that told nothing and made no new patient, and what they allocated.
  private var quiet = (samples: 0, allocations: UInt64(0))
  private var known: Set<UInt32> = []
  private var loud = (samples: 0, allocations: UInt64(0))

  init(_ layout: PlanLayout, _ directory: Directory) {
    self.directory = directory
    engine = Engine(
      layout: layout, options: EngineOptions(clock: .stream, recordsEvidence: false), names: directory)
  }

  func forget() {
    samples = 0
    nanoseconds = 0
    allocations = 0
    transitions = 0
    rows = 0
  }

  func apply(_ slots: [Slot]) {
    let taken = vigil_allocation_count()
    let start = threadNanosecondsOfEngine()
    for slot in slots { engine.apply(slot) }
    nanoseconds += threadNanosecondsOfEngine() - start
    allocations += vigil_allocation_count() - taken
    samples += slots.count
    drain()
  }

  /// Slot by slot, for the counters.
  func applySingly(_ slots: [Slot]) {
    for slot in slots {
      let isKnown = !known.insert(slot.series).inserted
      let taken = vigil_allocation_count()
      engine.apply(slot)
      let count = vigil_allocation_count() - taken
      if isKnown, engine.output.isEmpty {
        quiet.samples += 1
        quiet.allocations += count
      } else {
        loud.samples += 1
        loud.allocations += count
      }
      if !engine.output.isEmpty { drain() }
    }
  }

  private func drain() {
    for transition in engine.output.transitions {
      transitions += 1
      for byte in transition.document.alertID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    rows += engine.output.ledger.count
    engine.output.removeAll()
  }

  func report(_ set: String) {
    let count = UInt64(max(1, samples))
    let rate = Double(samples) * 1e9 / Double(max(1, nanoseconds)) / 1e6
    let footprint = engine.footprint
    print(
      "engine: set \(set): \(samples) samples, \((rate * 100).rounded() / 100) M samples/CPU-s, "
        + "\(nanoseconds / count) ns each")
    print("engine: \(footprint.bytes / max(1, footprint.patients)) bytes a patient, \(footprint.patients) patients")
    print(
      "engine: \(allocations) allocations, \(EngineRun.share(allocations, samples)) a sample; \(transitions) transitions, "
        + "\(rows) ledger rows")
  }

  func reportAllocations() {
    print(
      "engine: slot by slot: \(quiet.samples) samples that told nothing \(EngineRun.share(quiet.allocations, quiet.samples)) "
        + "allocations each; \(loud.samples) that told something or came first \(EngineRun.share(loud.allocations, loud.samples)) each"
    )
  }

  private static func share(_ count: UInt64, _ of: Int) -> String {
    String(format: "%.6f", Double(count) / Double(max(1, of)))
  }
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
