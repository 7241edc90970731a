PS1='\u@desktop:\w\$ '
