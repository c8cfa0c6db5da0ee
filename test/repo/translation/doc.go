// Package translation holds that a document in Chinese has the headings, commands, tables, links and code of its original. So a change of
// the original that its reader would miss fails until the translation has it, too.
//
// It is tests alone. Whether the words are right, only a reader can say.
package translation
