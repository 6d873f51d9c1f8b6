import Evaluation
import Suppression

/// A patient's state by its place in memory: reading it through here copies nothing it does not ask for.
extension UnsafeMutablePointer<PatientState> {
  /// What expressions may look at.
  @inline(__always)
  var view: PatientView {
    PatientView(
      series: pointee.series, seriesCount: pointee.seriesCount, preferred: pointee.preferred, scores: pointee.scores,
      age: pointee.age, flagBits: pointee.flagBits, flagsKnown: pointee.isListed, ageMonths: pointee.ageMonths,
      settings: UnsafePointer(pointee.settings), settingCount: pointee.settingCount)
  }

  /// The episode of one of a series' rules, by its place among them.
  @inline(__always)
  func episode(_ series: Int, _ offset: Int) -> Episode {
    pointee.episodes[series].peek(offset)?.pointee ?? Episode()
  }
  @inline(__always)
  func isIdle(_ series: Int, _ offset: Int) -> Bool {
    guard let episode = pointee.episodes[series].peek(offset) else { return true }
    if case .idle = episode.pointee.phase { return true }
    return false
  }
  func episodePointer(_ series: Int, _ offset: Int) -> UnsafeMutablePointer<Episode> {
    pointee.episodes[series].pointer(offset, blank: Episode())
  }

  /// The episode of a rule judged once a patient.
  @inline(__always)
  func ruleEpisode(_ rule: Int) -> Episode { pointee.ruleEpisodes.peek(rule)?.pointee ?? Episode() }
  @inline(__always)
  func isIdle(rule: Int) -> Bool {
    guard let episode = pointee.ruleEpisodes.peek(rule) else { return true }
    if case .idle = episode.pointee.phase { return true }
    return false
  }
  func ruleEpisodePointer(_ rule: Int) -> UnsafeMutablePointer<Episode> {
    pointee.ruleEpisodes.pointer(rule, blank: Episode())
  }

  @inline(__always)
  func slot(_ rule: Int) -> RuleSlot { pointee.ruleSlots.peek(rule)?.pointee ?? RuleSlot() }
  func slotPointer(_ rule: Int) -> UnsafeMutablePointer<RuleSlot> {
    pointee.ruleSlots.pointer(rule, blank: RuleSlot())
  }
}
