// No questions at the first start: tasks bring their own profiles.
pref("mail.provider.suppress_dialog_on_startup", true);
pref("mail.accounthub.firstrun", false);
pref("mail.accounthub.enabled", false);
pref("mail.spotlight.firstRunDone", true);
pref("mail.rights.version", 1);
pref("mailnews.start_page.enabled", false);
pref("datareporting.policy.dataSubmissionEnabled", false);
