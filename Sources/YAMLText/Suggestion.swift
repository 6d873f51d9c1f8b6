/// Finds the word an author probably meant.
package enum Suggestion {
  /// The nearest candidate at most two single-character edits away (one for words of up to three characters), upper and
  /// lower case taken as equal; the first of equally near ones in sorted order. O(candidates x length squared).
  package static func nearest(_ word: String, among candidates: some Sequence<String>) -> String? {
    guard !word.isEmpty, word.utf8.count <= 64 else { return nil }
    let bound = word.count <= 3 ? 1 : 2
    var best: (distance: Int, text: String)?
    for candidate in candidates.sorted() {
      let distance = self.distance(word.lowercased(), candidate.lowercased())
      guard distance <= bound, distance < best?.distance ?? .max else { continue }
      best = (distance, candidate)
    }
    return best?.text
  }

  /// Insertions, deletions and replacements that make one text of the other (Levenshtein).
  package static func distance(_ a: String, _ b: String) -> Int {
    let right = Array(b)
    var row = Array(0...right.count)
    for (i, left) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for j in right.indices {
        let above = row[j + 1]
        row[j + 1] = min(above + 1, row[j] + 1, diagonal + (left == right[j] ? 0 : 1))
        diagonal = above
      }
    }
    return row[right.count]
  }
}
