import Evaluation
import Suppression
import VitalModel

/// The series of the comparison and the episode of each: one rule a vital, one series a patient and vital.
final class SameWorkTable {
  private let layout: PlanLayout
  @exclusivity(unchecked) private(set) var series: UnsafeMutablePointer<SeriesWindows>
  @exclusivity(unchecked) private(set) var episodes: UnsafeMutablePointer<Episode>
  @exclusivity(unchecked) private(set) var patients: UnsafeMutablePointer<UInt32>
  @exclusivity(unchecked) private(set) var count = 0
  @exclusivity(unchecked) private var capacity = 1024
  /// Patient times vital → position; -1 none.
  @exclusivity(unchecked) private var places: UnsafeMutablePointer<Int32>
  @exclusivity(unchecked) private var placeCount: Int
  /// What expressions may ask beside the one series at hand: it is the preferred one of its vital, there are no scores.
  private let preferred: UnsafeMutablePointer<Int16>
  private let scores: UnsafeMutablePointer<ScoreState>

  init(_ layout: PlanLayout) {
    self.layout = layout
    series = .allocate(capacity: capacity)
    episodes = .allocate(capacity: capacity)
    patients = .allocate(capacity: capacity)
    placeCount = 1024 * layout.codes.count
    places = .allocate(capacity: placeCount)
    places.initialize(repeating: -1, count: placeCount)
    preferred = .allocate(capacity: layout.codes.count)
    preferred.initialize(repeating: 0, count: layout.codes.count)
    scores = .allocate(capacity: 1)
    scores.initialize(to: ScoreState())
  }

  deinit {
    for place in 0..<count { series[place].free() }
    series.deallocate()
    episodes.deallocate()
    patients.deallocate()
    places.deallocate()
    preferred.deallocate()
    scores.deallocate()
  }

  /// Position of a patient's series of a vital, made when it is new.
  @inline(__always)
  func place(patient: UInt32, code: Int) -> Int {
    let index = Int(patient) * layout.codes.count + code
    if index < placeCount, places[index] >= 0 { return Int(places[index]) }
    return add(patient: patient, code: code, index: index)
  }

  private func add(patient: UInt32, code: Int, index: Int) -> Int {
    if count == capacity {
      series = SameWorkTable.grown(series, count, to: capacity * 2)
      episodes = SameWorkTable.grown(episodes, count, to: capacity * 2)
      patients = SameWorkTable.grown(patients, count, to: capacity * 2)
      capacity *= 2
    }
    if index >= placeCount {
      let wider = max(index + 1, placeCount * 2)
      places = SameWorkTable.grown(places, placeCount, to: wider)
      (places + placeCount).initialize(repeating: -1, count: wider - placeCount)
      placeCount = wider
    }
    (series + count).initialize(
      to: SeriesWindows(series: UInt32(count), device: 0, code: code, source: 0, plan: layout.codes[code]))
    (episodes + count).initialize(to: Episode())
    (patients + count).initialize(to: patient)
    places[index] = Int32(count)
    count += 1
    return count - 1
  }

  private static func grown<Element>(
    _ memory: UnsafeMutablePointer<Element>, _ count: Int, to capacity: Int
  ) -> UnsafeMutablePointer<Element> {
    let wider = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    wider.moveInitialize(from: memory, count: count)
    memory.deallocate()
    return wider
  }

  /// A patient with this one series.
  @inline(__always)
  func view(_ place: Int) -> PatientView {
    PatientView(
      series: series + place, seriesCount: 1, preferred: preferred, scores: scores, age: .nan, flagBits: 0,
      flagsKnown: true)
  }
}
